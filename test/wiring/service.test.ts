import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import pino from 'pino';
import { natsSettings } from '../../src/wiring/nats-settings';
import { compose, NOTHING, type Between } from '../../src/wiring/service';
import { loadConfig } from '../../src/config/load-config';
import { sumOfSeries } from '../support/series';
import { eventually } from '../support/eventually';
import { eventId } from '../support/placements';
import { freePort } from '../support/server-process';
import { bearer, CURRENT_KEY } from '../support/http-app';

const newId = () => randomBytes(12).toString('hex');
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const task of cleanUp.splice(0).reverse()) await task();
});

/** The service as it is composed, listening. */
async function started(env: Record<string, string> = {}, between: Partial<Between> = {}) {
  const config = loadConfig({
    JWT_KEY: CURRENT_KEY,
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'silent',
    ...env,
  });
  let dropLine = (): void => {};
  const service = await compose(
    config,
    { logger: pino({ level: 'silent' }), onLineDropped: (listener) => void (dropLine = listener) },
    { ...NOTHING, ...between },
  );
  cleanUp.push(() => service.stop());
  const { port } = await service.start();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  cleanUp.push(() => agent.destroy());

  /** All on one connection. */
  async function call(method: string, path: string, body?: object) {
    const headers: OutgoingHttpHeaders = { ...bearer(), 'Content-Type': 'application/json' };
    const sent = request({ port, host: '127.0.0.1', agent, method, path, headers });
    sent.end(body && JSON.stringify(body));
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: answer.statusCode, headers: answer.headers, text: await text(answer) };
  }

  async function publish(subject: string, data: unknown): Promise<void> {
    await service.embedded!.peer.publish(subject, JSON.stringify(data));
  }

  /** Resolves to a ticket that can be ordered. */
  async function sell(): Promise<string> {
    const id = newId();
    await publish('ticket:created', { id, version: 0, title: 'T', price: 1, userId: 's' });
    await eventually(async () => expect(await service.embedded!.tickets.find(id)).toBeDefined());
    return id;
  }

  const place = (ticketId: string) => call('POST', '/api/v1/orders', { ticketId });

  return {
    service,
    port,
    call,
    publish,
    sell,
    place,
    async order() {
      expect(await place(await sell())).toMatchObject({ status: 201 });
    },
    dropLine: () => dropLine(),
    metric: async (name: string, labels?: RegExp) =>
      sumOfSeries((await call('GET', '/metrics')).text, name, labels),
  };
}

describe('the service as it is composed', () => {
  /** One whose orders wait to be stored, with what it does to its broker. */
  async function withOrderInFlight() {
    const steps: string[] = [];
    let insert = (): void => {};
    let inserting = (): void => {};
    const begun = new Promise<void>((resolve) => (inserting = resolve));
    const service = await started(
      {},
      {
        orders: (orders) => ({
          ...orders,
          async insert(placement) {
            inserting();
            await new Promise<void>((resolve) => (insert = resolve));
            return orders.insert(placement);
          },
        }),
        bus: (bus) => ({
          ...bus,
          async publish(subject, data) {
            await bus.publish(subject, data);
            steps.push(`published ${subject}`);
          },
        }),
      },
    );
    const placing = service.place(await service.sell());
    await begun;
    return { ...service, steps, placing, insert: () => insert() };
  }

  it('says that it drains while it finishes what is in flight', async () => {
    const { service, port, placing, insert } = await withOrderInFlight();
    const other = connection(port);
    expect(await other.readyz()).toMatchObject({ status: 200, connection: 'keep-alive' });

    const stopped = service.stop();
    const readiness = await other.readyz();
    expect(readiness).toMatchObject({ status: 503, connection: 'close' });
    expect(JSON.parse(readiness.text)).toEqual({
      status: 'unready',
      database: 'up',
      broker: 'up',
      draining: true,
    });
    insert();

    expect(await placing).toMatchObject({ status: 201 });
    expect(await stopped).toBe(true);
  });

  it('publishes what it placed last before it leaves the broker', async () => {
    const { service, placing, insert, steps } = await withOrderInFlight();
    const stopped = service.stop();
    insert();
    expect(await placing).toMatchObject({ status: 201 });
    expect(await stopped).toBe(true);
    expect(steps).toEqual(['published order:created']);
    expect(service.embedded?.peer.available()).toBe(true);
  });

  it('publishes all that was left over before it leaves the broker, more than one poll takes', async () => {
    const published: string[] = [];
    let isAway = true;
    const { service, order } = await started(
      {},
      {
        bus: (bus) => ({
          ...bus,
          available: () => !isAway && bus.available(),
          async publish(subject, data) {
            await bus.publish(subject, data);
            published.push(eventId(data));
          },
          // Back at the last moment: no poll comes before the end.
          async stopReceiving() {
            await bus.stopReceiving();
            isAway = false;
          },
        }),
      },
    );
    for (let n = 0; n < 70; n += 1) await order();
    expect(published).toEqual([]);
    expect(await service.stop()).toBe(true);
    expect(new Set(published).size).toBe(70);
  });

  it('settles the messages that it has in flight before it is stopped', async () => {
    let find = (): void => {};
    let finding = (): void => {};
    const begun = new Promise<void>((resolve) => (finding = resolve));
    const { service, publish } = await started(
      {},
      {
        orders: (orders) => ({
          ...orders,
          async find(id) {
            finding();
            await new Promise<void>((resolve) => (find = resolve));
            return orders.find(id);
          },
        }),
      },
    );
    await publish('payment:created', { id: 'p', orderId: newId(), stripeId: 's' });
    await begun;
    const ended: string[] = [];
    const stopped = service.stop().then((inOrder) => ended.push(`stopped ${inOrder ? 'in order' : ''}`));
    // A conversation with the broker later, and one with the database.
    await publish('ticket:created', { id: newId() });
    await service.embedded!.tickets.find(newId());
    ended.push('found');
    find();
    await stopped;
    expect(ended).toEqual(['found', 'stopped in order']);
  });

  it('tries parked messages again', async () => {
    let mistakes = 0;
    const { publish, metric } = await started(
      {},
      {
        orders: (orders) => ({
          ...orders,
          async find(id) {
            if ((mistakes += 1) === 1) throw new TypeError('a mistake');
            return orders.find(id);
          },
        }),
      },
    );
    await publish('payment:created', { id: 'p', orderId: newId(), stripeId: 's' });
    await eventually(async () =>
      expect(await metric('order_service_retries_total', /operation="parked_message"/)).toBeGreaterThan(0),
    );
    expect(mistakes).toBeGreaterThan(1);
  });

  it('counts the log lines that were dropped', async () => {
    const { dropLine, metric } = await started();
    dropLine();
    dropLine();
    expect(await metric('order_service_log_lines_dropped_total')).toBe(2);
  });

  it('is up with what is embedded', async () => {
    const { metric } = await started();
    expect([await metric('order_service_database_up'), await metric('order_service_broker_up')]).toEqual([
      1, 1,
    ]);
  });

  it('tells what is parked from what is dead, and what is not published', async () => {
    const { publish, metric, order } = await started(
      {},
      { bus: (bus) => ({ ...bus, available: () => false }) },
    );
    await order();
    for (const wrong of [1, 2]) await publish('ticket:created', { wrong });
    await publish('payment:created', { id: 'p', orderId: newId(), stripeId: 's' });
    await eventually(async () => {
      expect(await metric('order_service_dead_letters', /state="dead"/)).toBe(2);
      expect(await metric('order_service_dead_letters', /state="parked"/)).toBe(1);
      expect(await metric('order_service_outbox_pending_orders')).toBe(1);
      expect(await metric('order_service_outbox_oldest_age_seconds')).toBeGreaterThan(0);
    }, 20_000);
  });

  it.each([
    ['broker', 'NATS_URL', 'nats://127.0.0.1:PORT', 'degraded'],
    ['database', 'MONGO_URL', 'mongodb://127.0.0.1:PORT/orders', 'unready'],
  ])('counts each time that it tries to reach a %s that is not there', async (what, setting, url, status) => {
    const { metric, call } = await started({ [setting]: url.replace('PORT', String(await freePort())) });
    const operation = new RegExp(`operation="${what}_connection"`);
    await eventually(async () =>
      expect(await metric('order_service_retries_total', operation)).toBeGreaterThan(0),
    );
    expect(await metric(`order_service_${what}_up`)).toBe(0);
    expect(JSON.parse((await call('GET', '/readyz')).text)).toMatchObject({ status, [what]: 'down' });
  });

  it('has a peer at hand only where both database and broker are embedded', async () => {
    const withBroker = await started({ NATS_URL: `nats://127.0.0.1:${await freePort()}` });
    const withDatabase = await started({ MONGO_URL: `mongodb://127.0.0.1:${await freePort()}/orders` });
    expect([withBroker.service.embedded, withDatabase.service.embedded]).toEqual([undefined, undefined]);
    expect((await started()).service.embedded).toBeDefined();
  });

  it('does not listen where it is told to stop while it starts', async () => {
    const config = loadConfig({ JWT_KEY: CURRENT_KEY, PORT: '0' });
    const service = await compose(config, { logger: pino({ level: 'silent' }), onLineDropped() {} });
    const starting = service.start();
    await service.stop();
    await expect(starting).rejects.toThrow('stopped while starting');
  });

  it('takes more copies of tickets in flight than messages that cost a round trip each', () => {
    const { nats } = loadConfig({ JWT_KEY: CURRENT_KEY });
    const { maxInFlight } = natsSettings(nats);
    expect(['ticket:created', 'ticket:updated'].map(maxInFlight)).toEqual([512, 512]);
    expect(['expiration:complete', 'payment:created'].map(maxInFlight)).toEqual([64, 64]);
  });
});

/** Another connection that is kept. */
function connection(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  cleanUp.push(() => agent.destroy());
  return {
    async readyz() {
      const sent = request({ port, host: '127.0.0.1', agent, path: '/readyz' }).end();
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      return { status: answer.statusCode, connection: answer.headers.connection, text: await text(answer) };
    },
  };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stored } from '../support/nats-peer';
import { newId } from '../support/new-id';
import { wrongEvents } from './announced';
import {
  apply,
  CHART,
  describeUnless,
  get,
  helm,
  helm3,
  isOnPath,
  kubectl,
  NAMESPACE,
  NEXT_TAG,
  pods,
  set,
  soon,
  type Component,
  type Pod,
} from './cluster';
import {
  BUYER,
  call,
  history,
  killLoads,
  ordersOf,
  place,
  placeAgain,
  publish,
  show,
  startLoad,
  startPeer,
  tokenOf,
  type Load,
  type LoadResult,
} from './peer';

const CRASH = readFileSync(join(__dirname, 'in-pod', 'crash.cjs'), 'utf8');

describe('a release without any values', () => {
  /** By id: what must be shown from now on, whatever happens. */
  const known = new Map<string, string>();
  let before: Stored[] = [];
  let secrets: object;
  let token: string;

  it('is installed and works within two minutes', async () => {
    await helm('install', 'orders', CHART, '--wait', '--timeout', '2m');
    secrets = await secretData();
  });

  it('passes its own test', async () => {
    await helm('test', 'orders', '--timeout', '2m');
  });

  it('has its command line on PATH, with its settings', async () => {
    const orderService = (...args: string[]) =>
      kubectl('exec', 'deploy/orders-order-service', '--', 'order-service', ...args);

    expect(await orderService('orders', 'stuck')).toBe('No order is stuck.\n');
    expect(await orderService('check-config')).toMatch(/^NODE_ENV +production +environment$/m);
  });

  describe('once it is installed', () => {
    beforeAll(async () => {
      await startPeer('orders');
      token = await tokenOf(BUYER);
    });

    it('completes an order that is paid', async () => {
      const { id } = await place();
      await heardOf('order:created', id);
      await publish('payment:created', { id: newId(), orderId: id, stripeId: 'stripe' });
      await soonIs(id, 'complete');
      known.set(id, 'complete');
    });

    it('cancels an order that expires, and its ticket can be ordered again', async () => {
      const { id, ticketId } = await place();
      await publish('expiration:complete', { orderId: id });
      await soonIs(id, 'cancelled');
      await heardOf('order:cancelled', id);
      known.set(id, 'cancelled');
      known.set(await placeAgain(ticketId), 'created');
    });

    it('cancels an order for its owner alone, and asks for the refund of a late payment', async () => {
      const { id } = await place();
      const cancelling = { method: 'DELETE', path: `/${id}` };
      const answers = await call({ ...cancelling, user: 'somebody-else' }, { ...cancelling, user: BUYER });
      expect(answers.map(({ status }) => status)).toEqual([404, 204]);
      await heardOf('order:cancelled', id);
      const paymentId = newId();
      await publish('payment:created', { id: paymentId, orderId: id, stripeId: 'stripe' });
      const refund = await heardOf('order:refund-required', id);
      expect(refund).toMatchObject({ orderId: id, paymentId, reason: 'late' });
      known.set(id, 'cancelled');
      before = await allEvents();
    });

    afterEach(killLoads);

    it('loses no order and no event when its pod is deleted by force', async () => {
      const [gone] = await pods('api');
      const load = await startLoad();
      await deleteByForce(gone!);
      await soonReplaced('api', gone!);
      await load.more(30);
      await expectNothingLost(await load.stop());
    });

    it('loses no order and no event when its process crashes', async () => {
      const [pod] = await pods('api');
      const load = await startLoad();
      await crash(pod!);
      await load.more(30);
      await expectNothingLost(await load.stop());
      expect(await pods('api')).toMatchObject([{ uid: pod!.uid, restarts: pod!.restarts + 1 }]);
    });

    it.each(['in order', 'by force'])('works on when MongoDB was deleted %s', async (how) => {
      const [service] = await pods('api');
      const [database] = await pods('mongodb');
      const load = await startLoad();
      await (how === 'in order' ? kubectl('delete', 'pod', database!.name) : deleteByForce(database!));
      await soonReplaced('mongodb', database!);
      await load.more(30);
      const { tickets, failures } = await load.stop();
      // It says that it cannot; once it is unready, nobody answers. No request is left without an answer.
      expect(Object.keys(failures).filter((failure) => !/: (503|ECONNREFUSED)$/.test(failure))).toEqual([]);
      await expectNothingLost({ tickets });
      await soonAreReady(service!);
    });

    it.each(['in order', 'by force'])('serves on while NATS is deleted %s', async (how) => {
      const [service] = await pods('api');
      const [broker] = await pods('nats');
      const load = await startLoad();
      await (how === 'in order' ? kubectl('delete', 'pod', broker!.name) : deleteByForce(broker!));
      await soonReplaced('nats', broker!);
      await load.more(30);
      const { tickets, failures } = await load.stop();
      expect(failures).toEqual({});
      await expectNothingLost({ tickets });
      await soonAreReady(service!);
    });

    it('is upgraded under load without a failed request', async () => {
      const [old] = await pods('api');
      const load = await startLoad();
      await upgrade(`image.tag=${NEXT_TAG}`, 'settings.LOG_LEVEL=debug');
      await expectNothingFailed(load, old!);
      expect(await pods('api')).toMatchObject([{ image: `order-service:${NEXT_TAG}`, ready: true }]);
    });

    it('becomes three replicas under load without a failed request', async () => {
      const [old] = await pods('api');
      const load = await startLoad();
      await upgrade(`image.tag=${NEXT_TAG}`, 'replicas=3');
      await expectNothingFailed(load, old!);
      const replicas = await pods('api');
      expect(replicas.map(({ ready }) => ready)).toEqual([true, true, true]);
      await soon(async () => expect(await brokerClients()).toEqual(replicas.map(({ name }) => name)));
      expect(await get('poddisruptionbudgets')).toMatchObject({ items: [{ spec: { maxUnavailable: 1 } }] });
    });

    it('shares the load among its replicas, and loses nothing when one of them crashes', async () => {
      const replicas = await pods('api');
      const before = await Promise.all(replicas.map(requestsOf));
      const load = await startLoad();
      await soon(async () => {
        const requests = await Promise.all(replicas.map(requestsOf));
        for (const [i, count] of requests.entries()) expect(count).toBeGreaterThan(before[i]!);
      });
      await crash(replicas[0]!);
      await load.more(30);
      await expectNothingLost(await load.stop());
      await soonAreReady({ ...replicas[0]!, restarts: 1 }, replicas[1]!, replicas[2]!);
    });

    it('has kept its secrets', async () => {
      expect(await secretData()).toEqual(secrets);
    });

    it('is found as it was when it is uninstalled and installed anew', async () => {
      await helm('uninstall', 'orders', '--wait', '--timeout', '2m');
      for (const component of ['api', 'mongodb', 'nats'] as const) await soonGone(component, 'orders');
      await helm('install', 'orders', CHART, '--wait', '--timeout', '2m');
      await expectNothingLost({ tickets: [] });
      const [shown] = await call({ method: 'GET', token });
      expect(shown).toMatchObject({ status: 200 });
      expect(shown!.body).toHaveLength(known.size);
      const { id } = await place();
      await heardOf('order:created', id);
    });
  });

  async function upgrade(...values: string[]): Promise<void> {
    await helm('upgrade', 'orders', CHART, '--wait', '--timeout', '3m', ...set(...values));
  }

  /** Not even while the old pod, which is told to end when the new one is ready, comes to its end. */
  async function expectNothingFailed(load: Load, old: Pod): Promise<void> {
    await kubectl('wait', `pod/${old.name}`, '--for=delete', '--timeout=1m');
    await load.more(30);
    const { tickets, failures } = await load.stop();
    expect(failures).toEqual({});
    await expectNothingLost({ tickets });
  }

  /** What was there before, and every order and event of the load. */
  async function expectNothingLost({ tickets }: Pick<LoadResult, 'tickets'>): Promise<void> {
    const answers = await call(
      ...[...known.keys()].map((id) => ({ method: 'GET', path: `/${id}`, user: BUYER })),
    );
    expect(answers.map(({ body }) => [body.id, body.status])).toEqual([...known]);

    const orders = tickets.flatMap((ticket) => ticket.orders);
    const statuses = new Map(orders.map(({ id, cancelled }) => [id, cancelled ? 'cancelled' : 'created']));
    const stored = await ordersOf(tickets.map(({ user }) => user));
    expect(new Map(stored.map(({ id, status }) => [id, status]))).toEqual(statuses);

    before = await soon(async () => {
      const events = await allEvents();
      expect(wrongEvents(tickets, events)).toEqual([]);
      const still = new Set(events.map((event) => JSON.stringify(event)));
      expect(before.filter((event) => !still.has(JSON.stringify(event)))).toEqual([]);
      return events;
    });
  }
});

const helm3IsMissing = isOnPath('helm3') ? undefined : 'no helm3 on PATH';
describeUnless(helm3IsMissing, 'with Helm 3', () => {
  const MEMORY = set('mongodb.persistence.enabled=false', 'nats.persistence.enabled=false');

  it('is installed, upgraded and uninstalled', async () => {
    // Not waited for: its test waits by itself.
    await helm3('install', 'classic', CHART, ...MEMORY);
    await helm3('test', 'classic', '--timeout', '3m');
    const more = set('settings.LOG_LEVEL=warn', 'secretsAsFiles=true');
    await helm3('upgrade', 'classic', CHART, '--wait', '--timeout', '2m', ...MEMORY, ...more);
    await helm3('test', 'classic', '--timeout', '3m');
    await helm3('uninstall', 'classic', '--wait', '--timeout', '2m');
    await soonGone('api', 'classic');
  });
});

describe('a release that cannot work', () => {
  /** Nothing but the service, and with the release `orders` behind it. */
  const ALONE = set(
    'mongodb.enabled=false',
    'externalMongodb.url=mongodb://orders-order-service-mongodb/orders',
    'nats.enabled=false',
    'externalNats.url=nats://orders-order-service-nats:4222',
  );

  afterEach(() => helm('uninstall', 'broken', '--ignore-not-found', '--wait', '--timeout', '1m'));

  it('names the secret that is not there, and waits for it', async () => {
    await helm('install', 'broken', CHART, ...ALONE, ...set('auth.existingSecret=of-somebody'));
    await soon(async () =>
      expect(await pods('api', 'broken')).toMatchObject([
        {
          restarts: 0,
          waiting: {
            reason: 'CreateContainerConfigError',
            message: expect.stringContaining('"of-somebody" not found'),
          },
        },
      ]),
    );
    await apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'of-somebody' },
      stringData: { JWT_KEY: 'a key of somebody that is long enough' },
    });
    await soon(async () =>
      expect(await pods('api', 'broken')).toMatchObject([{ restarts: 0, waiting: undefined }]),
    );
  });

  it('tells every wrong setting at once', async () => {
    const wrong = [
      'extraEnv[0].name=LOG_LEVEL',
      'extraEnv[0].value=loud',
      'extraEnv[1].name=RATE_LIMIT_PER_MINUTE',
      'extraEnv[1].value=many',
    ];
    await helm('install', 'broken', CHART, ...ALONE, ...set(...wrong));
    const [pod] = await soon(async () => {
      const found = await pods('api', 'broken');
      expect(found[0]?.restarts).toBeGreaterThan(0);
      return found;
    });
    expect(pod).toMatchObject({ ready: false });
    await soon(async () => {
      const log = await kubectl('logs', pod!.name);
      expect(log).toContain('LOG_LEVEL: ');
      expect(log).toContain('RATE_LIMIT_PER_MINUTE: must be a whole number');
    });
  });

  it('is refused with a wrong value, before anything is made', async () => {
    await expect(helm('install', 'refused', CHART, ...set('replicas=many'))).rejects.toThrow(/replicas/);
    const made = await get('all,secrets,configmaps', '-l', 'app.kubernetes.io/instance=refused');
    expect(made).toMatchObject({ items: [] });
  });
});

async function soonIs(orderId: string, status: string): Promise<void> {
  await soon(async () => expect(await show(orderId)).toMatchObject({ status }));
}

const allEvents = () => history('order:created', 'order:cancelled', 'order:refund-required');

/** The event of an order on the subject. */
async function heardOf(subject: string, orderId: string) {
  return soon(async () => {
    const events = (await history(subject)).map(({ text }) => JSON.parse(text));
    const found = events.filter(({ id, orderId: of }) => (of ?? id) === orderId);
    expect(found).not.toEqual([]);
    return found[0];
  });
}

/** What the release's two secrets hold. */
async function secretData(): Promise<object> {
  const labels = 'app.kubernetes.io/instance=orders';
  const { items } = await get<{ items: { data: object }[] }>('secrets', '-l', labels);
  expect(items).toHaveLength(2);
  return Object.assign({}, ...items.map(({ data }) => data)) as object;
}

async function deleteByForce({ name }: Pod): Promise<void> {
  await kubectl('delete', 'pod', name, '--grace-period=0', '--force');
}

async function crash({ name, restarts }: Pod): Promise<void> {
  // It ends together with the container that it runs in.
  await kubectl('exec', name, '--', '/nodejs/bin/node', '-e', CRASH).catch(() => {});
  await soon(async () => {
    const found = (await pods('api')).find((pod) => pod.name === name);
    expect(found).toMatchObject({ ready: true, restarts: restarts + 1 });
  });
}

async function soonReplaced(component: Component, gone: Pod): Promise<void> {
  await soon(async () => {
    const found = await pods(component);
    expect(found).toMatchObject([{ ready: true }]);
    expect(found[0]!.uid).not.toBe(gone.uid);
  });
}

const soonGone = (component: Component, release: string) =>
  soon(async () => expect(await pods(component, release)).toEqual([]));

/** These very pods of the service, with no more restarts than that. */
async function soonAreReady(...expected: Pod[]): Promise<void> {
  const whole = expected.map(({ name, uid, restarts }) => ({ name, uid, restarts, ready: true }));
  await soon(async () => expect(await pods('api')).toMatchObject(whole));
}

/** The clients that the broker knows, the peer's left out. */
async function brokerClients(): Promise<string[]> {
  const [broker] = await pods('nats');
  const answer = await throughApiServer(`${broker!.name}:8222`, 'streaming/clientsz');
  const { clients } = JSON.parse(answer) as { clients: { id: string }[] };
  const ids = clients.map(({ id }) => id);
  return ids.filter((id) => !id.startsWith('peer-')).sort();
}

/** Requests that were answered by this pod, the probes' left out. */
async function requestsOf({ name }: Pod): Promise<number> {
  const metrics = await throughApiServer(`${name}:3000`, 'metrics');
  const counts = metrics.matchAll(/^http_request_duration_seconds_count\{.*route="\/api.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

const throughApiServer = (podAndPort: string, path: string) =>
  kubectl('get', '--raw', `/api/v1/namespaces/${NAMESPACE}/pods/${podAndPort}/proxy/${path}`);

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { startComposed, type ComposedService, type Order } from '../support/composed-service';
import { eventually } from '../support/eventually';
import { BASE_PATH } from '../support/http-app';
import { sumOfSeries } from '../support/series';
import { checkAnswer, checkRefusal } from './answers';
import { hostileMessage, type HostileMessage } from './messages';
import { hostileRequest, isSound, isUnfinished, toBytes, type HostileRequest } from './requests';
import { exchange, open, pipeline } from './wire';

/**
 * A failure names the seed of its round: FUZZ_SEED repeats from there. FUZZ_REQUESTS and FUZZ_MESSAGES say how much is
 * sent at least.
 */
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 35_000);
const MESSAGES = Number(process.env['FUZZ_MESSAGES'] ?? 70_000);

/** So long may an answer take. */
const PATIENCE_MS = 5_000;
const RUNS_PER_ROUND = 50;
/** The server takes as many at once on one connection. */
const MOST_REQUESTS_PER_RUN = 100;
const MOST_MESSAGES_PER_RUN = 200;

const FUZZERS = ['ann', 'bob'];
const BYSTANDER = 'bystander';

interface Surroundings {
  /** Of the bystander: one created, one complete, one cancelled. */
  readonly untouchable: readonly Order[];
  readonly ours: readonly Order[];
  readonly free: readonly string[];
}

async function surroundingsIn(service: ComposedService): Promise<Surroundings> {
  const order = async (user: string) => service.place(user, await service.sell());
  const [created, complete, cancelled] = [
    await order(BYSTANDER),
    await order(BYSTANDER),
    await order(BYSTANDER),
  ];
  await service.pay(complete);
  await service.call(BYSTANDER, 'DELETE', `${BASE_PATH}/${cancelled.id}`);
  const ours: Order[] = [];
  const free: string[] = [];
  for (const user of FUZZERS) for (let i = 0; i < 5; i += 1) ours.push(await order(user));
  for (let i = 0; i < 10; i += 1) free.push(await service.sell());
  return { untouchable: [created, complete, cancelled], ours, free };
}

/** Each of the bystander's orders and their list, byte for byte. */
async function asTheBystanderSees(service: ComposedService, orders: readonly Order[]): Promise<string[]> {
  const paths = ['', ...orders.map(({ id }) => `/${id}`)];
  return Promise.all(
    paths.map(async (path) => {
      const answer = await service.call(BYSTANDER, 'GET', BASE_PATH + path);
      return `${answer.status} ${answer.headers.get('etag')} ${await answer.text()}`;
    }),
  );
}

/** What every object inherits; also those that Node itself makes, outside of the sandbox of the tests. */
function whatAllInherit(): string {
  const roots = [Object, Array, Function, String, Number, Promise].map(
    ({ prototype }) => prototype as object,
  );
  const all = [...roots, Object.getPrototypeOf(STATUS_CODES) as object];
  return all.map((root) => Reflect.ownKeys(root).map(String).join()).join('; ');
}

/** Sends requests over one connection, and those that may end it over others. */
function createSender(port: number) {
  let connection: Socket | undefined;

  async function sendAll(requests: readonly HostileRequest[]): Promise<void> {
    const sound = requests.filter(isSound);
    const odd = requests.filter((request) => !isSound(request));
    await Promise.all([sendSound(sound), ...odd.map(sendOdd)]);
  }

  async function sendSound(requests: readonly HostileRequest[]): Promise<void> {
    if (!connection || connection.destroyed) connection = await open(port);
    const calls = requests.map((request) => ({ method: request.method, bytes: toBytes(request, 'keep') }));
    const answers = await pipeline(connection, calls, PATIENCE_MS);
    requests.forEach((request, index) => checkAnswer(request, answers[index]));
  }

  async function sendOdd(request: HostileRequest): Promise<void> {
    const call = { method: request.method, bytes: toBytes(request, 'close'), end: isUnfinished(request) };
    checkRefusal(request, await exchange(port, call, PATIENCE_MS));
  }

  return { sendAll, close: () => connection?.destroy() };
}

describe('whatever is sent', () => {
  let service: ComposedService;
  beforeAll(async () => {
    service = await startComposed();
  });
  afterAll(() => service.stop());

  it('breaks nothing, changes no order of others, and leaves nothing behind', async () => {
    const { untouchable, ours, free } = await surroundingsIn(service);
    const before = await asTheBystanderSees(service, untouchable);
    const inherited = whatAllInherit();
    const untouchableIds = untouchable.map(({ id }) => id);
    const request = hostileRequest({
      users: FUZZERS,
      orderIds: [...untouchableIds, ...ours.map(({ id }) => id)],
      ticketIds: [...free, ...untouchable.map(({ ticket }) => ticket.id)],
    });
    const message = hostileMessage({
      orderIds: ours.map(({ id }) => id),
      untouchableIds,
      ticketIds: [...free, ...untouchable.map(({ ticket }) => ticket.id)],
    });
    const sender = createSender(service.port);
    const sent = { requests: 0, messages: 0, 'dead letter': 0, parked: 0, settled: 0 };

    async function publishAll(messages: readonly HostileMessage[]): Promise<void> {
      sent.messages += messages.length;
      for (const { fate } of messages) sent[fate] += 1;
      await Promise.all(messages.map(({ subject, data }) => service.publish(subject, data)));
    }

    const property = fc.asyncProperty(
      upTo(MOST_REQUESTS_PER_RUN, request),
      upTo(MOST_MESSAGES_PER_RUN, message),
      async (requests, messages) => {
        sent.requests += requests.length;
        await Promise.all([sender.sendAll(requests), publishAll(messages)]);
        if (whatAllInherit() !== inherited) throw new Error('what all objects inherit has changed');
        const unexpected = service.logged.find(isUnexpected);
        if (unexpected) throw new Error(`an error was logged: ${JSON.stringify(unexpected)}`);
      },
    );
    for (let round = 0; sent.requests < REQUESTS || sent.messages < MESSAGES; round += 1) {
      await fc.assert(property, {
        seed: SEED + round,
        numRuns: RUNS_PER_ROUND,
        interruptAfterTimeLimit: 60_000,
        markInterruptAsFailure: true,
      });
    }
    sender.close();
    // Whatever could have come of a message has come of some.
    expect(Object.entries(sent).filter(([, count]) => count === 0)).toEqual([]);
    await eventually(async () => {
      const metrics = await service.metrics();
      expect({
        'dead letter': sumOfSeries(metrics, 'order_service_dead_lettered_total'),
        rejected: sumOfSeries(metrics, 'order_service_message_duration_seconds_count', /verdict="reject"/),
        parked: sumOfSeries(metrics, 'order_service_message_duration_seconds_count', /verdict="park"/),
      }).toEqual({ 'dead letter': sent['dead letter'], rejected: sent['dead letter'], parked: sent.parked });
    }, 60_000);
    expect(service.logged.filter(isUnexpected)).toEqual([]);
    expect(await asTheBystanderSees(service, untouchable)).toEqual(before);
    expect(whatAllInherit()).toBe(inherited);
  }, 180_000);

  it('is forgotten: orders are placed, paid, cancelled and listed as before', async () => {
    const paid = await service.place('carol', await service.sell());
    await service.pay(paid);
    const cancelled = await service.place('carol', await service.sell());
    const cancelling = await service.call('carol', 'DELETE', `${BASE_PATH}/${cancelled.id}`);
    const listed = (await (await service.call('carol', 'GET', BASE_PATH)).json()) as Order[];

    expect(cancelling.status).toBe(204);
    expect(listed.map(({ id, status }) => [id, status])).toEqual([
      [cancelled.id, 'cancelled'],
      [paid.id, 'complete'],
    ]);
    expect((await service.call('carol', 'GET', '/readyz')).status).toBe(200);
  });
});

function upTo<T>(length: number, element: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(element, { maxLength: length, size: 'max' });
}

/** A second payment of an order is meant to be an error: a person has to give it back. */
function isUnexpected({ msg }: { readonly msg: string }): boolean {
  return msg !== 'a payment must be refunded';
}

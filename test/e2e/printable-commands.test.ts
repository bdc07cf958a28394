import { mongo } from 'mongoose';
import { useMongod } from '../support/mongod';
import { startMongoStore, untilReady, withDatabase } from '../support/mongo-store';
import { change, newPlacement, payment } from '../support/placements';
import { ORDER_SERVICE, runProgram } from '../support/run-program';
import { describeWith } from '../support/servers';

/** Clears a screen, sets a colour, turns the direction of writing, and begins a line. */
const HOSTILE = 'evil\u001b[2J\u009b31m\u202e\nFAKE\u2028LINE\r\u007f';
const SHOWN = 'evil\\u001b[2J\\u009b31m\\u202e\\nFAKE\\u2028LINE\\r\\u007f';
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028]|^FAKE/m;

describeWith(['mongod'], 'text from outside', () => {
  const { server, client } = useMongod();
  let env: { MONGO_URL: string };
  let orderId: string;

  beforeAll(async () => {
    env = { MONGO_URL: withDatabase(server().url) };
    const store = startMongoStore({ url: env.MONGO_URL });
    await untilReady(store);
    const placement = newPlacement({ userId: HOSTILE, withLease: false });
    orderId = placement.order.id;
    const order = { ...placement.order, ticket: { ...placement.order.ticket, title: HOSTILE } };
    await store.orders.insert({ ...placement, order });
    await change(store.orders, orderId, { type: 'cancel', by: 'user' });
    for (const id of [HOSTILE, 'second', 'third']) await change(store.orders, orderId, payment(id));
    const refunded = { at: new Date(), reference: HOSTILE };
    await change(store.orders, orderId, { type: 'refund', paymentId: 'second', refunded });
    const until = new Date(Date.now() + 3_600_000);
    await client()
      .db(new URL(env.MONGO_URL).pathname.slice(1))
      .collection('orders')
      .updateOne(
        { _id: new mongo.ObjectId(orderId) },
        {
          $set: {
            'publishing.owner': HOSTILE,
            'publishing.leaseUntil': until,
            'changes.0.cause.requestId': HOSTILE,
            'changes.1.cause': { type: 'operator', reason: HOSTILE },
            'payments.0.stripeId': HOSTILE,
          },
        },
      );
    const message = { subject: HOSTILE, sequence: 1, data: HOSTILE, reason: HOSTILE, attempts: 1 };
    const times = { publishedAt: new Date(), at: new Date() };
    for (const id of ['dead', 'parked', 'discarded', 'to discard']) {
      const retryAt = id === 'parked' ? { retryAt: until } : {};
      await store.failedMessages.put({ id: `${id} ${HOSTILE}`, ...message, ...times, ...retryAt });
    }
    await store.failedMessages.discard(`discarded ${HOSTILE}`, HOSTILE);
    await store.close();
  });

  const run = (args: readonly string[], input?: string) => runProgram([ORDER_SERVICE, ...args], env, input);

  const ALL: readonly { command: string; args?: string[]; input?: string }[] = [
    { command: 'orders show', args: ['ORDER'] },
    { command: 'orders stuck' },
    { command: 'parked list' },
    { command: 'dead-letters list' },
    { command: 'dead-letters list', args: ['--discarded'] },
    { command: 'dead-letters show', args: [`parked ${HOSTILE}`] },
    { command: 'dead-letters show', args: [`discarded ${HOSTILE}`] },
    { command: 'dead-letters show', args: [HOSTILE] },
    { command: 'dead-letters replay', args: [HOSTILE] },
    { command: 'dead-letters discard', args: [`to discard ${HOSTILE}`, '--reason', HOSTILE] },
    { command: 'dead-letters discard', args: [HOSTILE, '--reason', 'x'] },
    { command: 'refunds list' },
    { command: 'refunds resolve', args: [HOSTILE, '--ref', HOSTILE] },
    { command: 'refunds resolve', args: ['second', '--ref', 'other'] },
    { command: 'refunds resolve', args: [`no ${HOSTILE}`, '--ref', 'other'] },
    { command: 'events inject', args: ['payment:created', `/${HOSTILE}`] },
    { command: 'events inject', args: ['payment:created', '-'], input: HOSTILE },
  ];

  it.each(ALL)('is printed without control characters by $command', async ({ command, args = [], input }) => {
    const words = [...command.split(' '), ...args.map((arg) => (arg === 'ORDER' ? orderId : arg))];
    const { stdout, stderr } = await run(words, input);

    expect(stdout + stderr).not.toMatch(CONTROLS);
    if (input === undefined) expect(stdout + stderr).toContain(SHOWN);
    else expect(stdout).toMatch(/^line 1: rejected: /);
  });

  it('is the same as it was with --json', async () => {
    const of = async (...words: string[]) =>
      JSON.parse((await run([...words, '--json'])).stdout.split('\n')[0]!) as unknown;

    expect(await of('orders', 'show', orderId)).toMatchObject({
      order: { userId: HOSTILE, ticket: { title: HOSTILE }, payments: [{ id: HOSTILE }, {}, {}] },
    });
    expect(await of('dead-letters', 'show', `parked ${HOSTILE}`)).toMatchObject({
      data: HOSTILE,
      reason: HOSTILE,
    });
    expect(await of('parked', 'list')).toMatchObject({ id: `parked ${HOSTILE}`, reason: HOSTILE });
    expect(await of('refunds', 'list')).toMatchObject({ userId: HOSTILE });
  });
});

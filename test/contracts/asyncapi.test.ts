import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Parser } from '@asyncapi/parser';
import Ajv from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { parse as parseYaml } from 'yaml';
import { createMemoryBroker } from '../../src/adapters/memory/bus';
import { connectMemoryStore, createMemoryDatabase } from '../../src/adapters/memory/store';
import type { OrderEvent } from '../../src/domain/events';
import { LEASE_MS } from '../../src/application/relay';
import { decide, applyChange, place, type Order, type OrderInput } from '../../src/domain/order';
import { expirationMessage, parse, paymentMessage, ticketMessage } from '../../src/messaging/contracts';
import { createCore } from '../../src/wiring/core';
import { hostileMessage } from '../hostile/messages';
import { createTestClock } from '../support/clock';
import { newId } from '../support/new-id';
import { REQUEST } from '../support/placements';
import { silentLog, silentMetrics } from '../support/silent';
import { messageSchemas, schemaOfEvent } from './message-schemas';

interface AsyncApi {
  readonly channels: Record<string, { address: string; messages: Record<string, { $ref: string }> }>;
  readonly operations: Record<string, { action: 'send' | 'receive'; channel: { $ref: string } }>;
  readonly components: {
    readonly messages: Record<string, { name: string; payload: { $ref: string }; examples: Example[] }>;
    readonly schemas: Record<string, object>;
  };
}

interface Example {
  readonly name: string;
  readonly payload: Record<string, unknown>;
}

const text = readFileSync(join(__dirname, '../../docs/asyncapi.yaml'), 'utf8');
const asyncApi = parseYaml(text) as AsyncApi;

const last = ($ref: string) => $ref.split('/').at(-1) ?? '';
const subjectsOf = (action: string) =>
  Object.values(asyncApi.operations)
    .filter((operation) => operation.action === action)
    .map(({ channel }) => asyncApi.channels[last(channel.$ref)]?.address);
const messageOf = (subject: string) => {
  const found = Object.values(asyncApi.components.messages).find(({ name }) => name === subject);
  if (!found) throw new Error(`no message ${subject}`);
  return found;
};
const exampleOf = (subject: string, name: string): Example['payload'] => {
  const found = messageOf(subject).examples.find((example) => example.name === name);
  if (!found) throw new Error(`no example ${name} of ${subject}`);
  return found.payload;
};

const ajv = addFormats(new Ajv({ strict: false }));
const accepts = (subject: string) =>
  ajv.compile(asyncApi.components.schemas[last(messageOf(subject).payload.$ref)] ?? false);

const parsers = {
  'ticket:created': ticketMessage,
  'ticket:updated': ticketMessage,
  'expiration:complete': expirationMessage,
  'payment:created': paymentMessage,
};

const cause = REQUEST;
const created = exampleOf('order:created', 'created') as {
  id: string;
  userId: string;
  ticket: { id: string };
};

describe('docs/asyncapi.yaml', () => {
  it('is AsyncAPI without an error or a warning', async () => {
    const { document, diagnostics } = await new Parser().parse(text);

    expect(document?.version()).toBe('3.0.0');
    expect(diagnostics.filter(({ severity }) => Number(severity) < 2)).toEqual([]);
  });

  it('has the schemas by which messages are read, and those of the events (npm run contracts:write)', () => {
    expect(asyncApi.components.schemas).toEqual(messageSchemas());
  });

  it('has each subject of the code, in and out, and no other', async () => {
    const { subscribed } = await startCore();

    expect(subjectsOf('receive').sort()).toEqual([...subscribed].sort());
    expect(subjectsOf('send').sort()).toEqual(Object.keys(schemaOfEvent).sort());
    for (const { address, messages } of Object.values(asyncApi.channels)) {
      const names = Object.values(messages).map(({ $ref }) => asyncApi.components.messages[last($ref)]?.name);
      expect(names).toEqual([address]);
    }
    expect(Object.keys(asyncApi.operations)).toHaveLength(Object.keys(asyncApi.channels).length);
  });

  it('has schemas of events that accept what a later version may add', () => {
    const { ticket, ...others } = created;
    const refund = exampleOf('order:refund-required', 'late');
    const accepted = (subject: string, payload: object) => accepts(subject)(payload);

    expect(accepted('order:created', { ...others, ticket: { ...ticket, seat: 'A 7' }, later: 1 })).toBe(true);
    expect(accepted('order:refund-required', { ...refund, reason: 'new', later: 1 })).toBe(true);
    expect(accepted('order:refund-required', { ...refund, paymentId: 7 })).toBe(false);
  });

  it('has examples that its schemas accept', () => {
    for (const { name, examples } of Object.values(asyncApi.components.messages)) {
      expect(examples).not.toEqual([]);
      for (const { payload } of examples)
        expect([name, payload, accepts(name)(payload)]).toEqual([name, payload, true]);
    }
  });

  it('accepts the messages that the service accepts, and no others', () => {
    const known = { orderIds: [newId()], untouchableIds: [newId()], ticketIds: [newId()] };
    const validators = new Map(Object.keys(parsers).map((subject) => [subject, accepts(subject)]));
    const seen = { accepted: 0, refused: 0 };

    fc.assert(
      fc.property(hostileMessage(known), ({ subject, data }) => {
        const json = jsonIn(data);
        if (json === undefined) return;
        const { ok } = parse(parsers[subject as keyof typeof parsers], data);
        seen[ok ? 'accepted' : 'refused'] += 1;
        expect([json, validators.get(subject)?.(json)]).toEqual([json, ok]);
      }),
      { numRuns: 3_000 },
    );
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(100);
  });
});

describe('the examples of messages', () => {
  it('are received and published as they are: an order that is placed, cancelled and paid', async () => {
    const { publish, events, core, clock } = await startCore();
    await publish('ticket:created', exampleOf('ticket:created', 'ticket'));
    await publish('ticket:updated', exampleOf('ticket:updated', 'newPrice'));

    const placed = await core.useCases.placeOrder({
      userId: created.userId,
      ticketId: created.ticket.id,
      cause,
    });
    await clock.advance(1_000);
    expect(placed).toMatchObject({ type: 'placed' });
    expect(events).toEqual([['order:created', created]]);

    await core.useCases.cancelOrder({ userId: created.userId, orderId: created.id, cause });
    await publish('payment:created', exampleOf('payment:created', 'charge'));
    await publish('payment:created', exampleOf('payment:created', 'withoutCharge'));
    await clock.advance(1_000);

    expect(events.slice(1)).toEqual([
      ['order:cancelled', exampleOf('order:cancelled', 'cancelled')],
      ['order:refund-required', exampleOf('order:refund-required', 'late')],
      ['order:refund-required', exampleOf('order:refund-required', 'withoutCharge')],
    ]);
  });

  it('have the effect that they are documented with: a second payment, and one that is sent again', async () => {
    const { publish, events, core, clock } = await startCore();
    await publish('ticket:created', exampleOf('ticket:updated', 'newPrice'));
    await core.useCases.placeOrder({ userId: created.userId, ticketId: created.ticket.id, cause });
    const charge = exampleOf('payment:created', 'charge');
    const second = exampleOf('payment:created', 'withoutCharge');
    const sentAgain = [charge, { ...charge, id: 'another id of the same charge' }, second];
    for (const payment of [charge, second, ...sentAgain]) await publish('payment:created', payment);
    await clock.advance(1_000);

    expect(events).toEqual([
      ['order:created', created],
      ['order:refund-required', exampleOf('order:refund-required', 'second')],
    ]);
  });

  it('have the effect that they are documented with: a ticket that is held, an order that expires', async () => {
    const { publish, events, core, clock } = await startCore();
    await publish('ticket:created', exampleOf('ticket:updated', 'held'));
    const order = { userId: created.userId, ticketId: created.ticket.id, cause };
    expect(await core.useCases.placeOrder(order)).toMatchObject({ type: 'reserved-elsewhere' });

    await publish('ticket:updated', { ...exampleOf('ticket:updated', 'held'), version: 3, orderId: null });
    expect(await core.useCases.placeOrder(order)).toMatchObject({ type: 'placed' });
    await clock.advance(60_000);
    await publish('expiration:complete', exampleOf('expiration:complete', 'expired'));
    await clock.advance(60_000);

    expect(events.map(([subject]) => subject)).toEqual(['order:created', 'order:cancelled']);
  });
});

it('each event of any order is as its schema says', () => {
  const payment = fc.record({ id: fc.constantFrom('p', 'q'), stripeId: fc.constantFrom('s', 't') });
  const input: fc.Arbitrary<OrderInput> = fc.oneof(
    fc.constantFrom<OrderInput>({ type: 'cancel', by: 'user' }, { type: 'expire' }),
    payment.map((one): OrderInput => ({ type: 'pay', payment: { ...one, at: new Date() } })),
  );
  const subjects = new Set<string>();
  const check = ({ subject, data }: OrderEvent) => {
    subjects.add(subject);
    const { success, error } = schemaOfEvent[subject].safeParse(data);
    if (!success) throw new Error(`${subject}: ${error.message}`);
  };

  fc.assert(
    fc.property(fc.array(input, { maxLength: 6 }), (inputs) => {
      const ticket = { id: newId(), version: 0, title: 'A concert', price: 20, userId: 'seller' };
      const placing = { id: newId(), userId: 'buyer', ticket, now: new Date(), expirationWindowSeconds: 900 };
      const { order, events } = place(placing);
      events.forEach(check);
      inputs.reduce<Order>((before, one) => {
        const decision = decide(before, one);
        if (decision.type !== 'changed') return before;
        decision.events.forEach(check);
        return applyChange(before, decision.change);
      }, order);
    }),
  );
  expect([...subjects].sort()).toEqual(Object.keys(schemaOfEvent).sort());
});

/** The service without HTTP, a peer on its broker, and all that the service published. */
async function startCore() {
  const clock = createTestClock();
  const broker = createMemoryBroker({ clock, log: silentLog, redeliveryWaitSeconds: 5 });
  const bus = broker.connect({ queueGroup: 'order-service' });
  const peer = broker.connect({ queueGroup: 'peer' });
  const events: [string, unknown][] = [];
  const subscribed = new Set<string>();
  const core = createCore({
    store: connectMemoryStore(createMemoryDatabase(), { replicaId: 'r', clock, leaseMs: LEASE_MS }),
    bus: {
      ...bus,
      subscribe(subscriptions) {
        for (const { subject } of subscriptions) subscribed.add(subject);
        bus.subscribe(subscriptions);
      },
    },
    clock,
    newId: () => created.id,
    metrics: silentMetrics,
    log: silentLog,
    expiration: { windowSeconds: 900, graceSeconds: 60, catchUpSeconds: 15, catchUpLimitSeconds: 600 },
    maxOpenOrdersPerUser: 0,
  });
  bus.start();
  peer.start();
  peer.subscribe(
    Object.keys(schemaOfEvent).map((subject) => ({
      subject,
      mode: 'group',
      receive: (message) => {
        events.push([subject, JSON.parse(message.data.toString())]);
        return Promise.resolve('done');
      },
    })),
  );
  core.subscribe();
  await clock.advance(0);
  const publish = async (subject: string, message: object) => {
    await peer.publish(subject, JSON.stringify(message));
    await clock.advance(0);
  };
  return { clock, core, events, publish, subscribed };
}

/** Undefined for what is not JSON in UTF-8. */
function jsonIn(data: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch {
    return undefined;
  }
}

import fc, { type Arbitrary } from 'fast-check';
import { hostileJson, hostileText, objectId, pollution, wellFormed, weighted } from './values';

export interface HostileMessage {
  readonly subject: string;
  readonly data: Buffer;
  /** What has to become of it. `settled`: the order that it is about is known, and decides. */
  readonly fate: 'dead letter' | 'parked' | 'settled';
}

/** What the messages may be about. */
export interface Known {
  /** Orders that a well-formed message may change. */
  readonly orderIds: readonly string[];
  /** Orders that no message may change: only malformed ones name them. */
  readonly untouchableIds: readonly string[];
  readonly ticketIds: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/** A message as it should be, and the values that are wrong for each of its fields. */
interface Contract {
  readonly subject: string;
  readonly good: Arbitrary<Fields>;
  readonly wrong: Readonly<Record<string, Arbitrary<unknown>>>;
}

const otherTypes = [true, 0, 7, 1e308, {}, [], ['text'], { $gt: '' }] as const;
const noText = fc.constantFrom<unknown>(null, undefined, ...otherTypes);
const noId = fc.oneof(
  noText,
  fc.constantFrom<unknown>(
    '',
    'x',
    'a'.repeat(23),
    'a'.repeat(25),
    `${'a'.repeat(24)}\n`,
    '\uff10'.repeat(24),
  ),
  objectId.map((id) => [id]),
  objectId.map((id) => ({ id })),
  objectId.map((id) => `${id.slice(1)}g`),
);
const noNumber = fc.constantFrom<unknown>(null, true, '', 'NaN', {}, [], [7], { $inc: 1 }, undefined);
const noVersion = fc.oneof(noNumber, fc.constantFrom<unknown>('7', -1, 0.5, 1e308, 2 ** 53));
const noPrice = fc.oneof(noNumber, fc.constantFrom<unknown>(-1, -0.01, -1e308, '-7', '7e1', '0x7', '7,5'));
const badText = fc.constantFrom('\ud800', 'x\udfff', 'x'.repeat(256));
const noName = fc.oneof(noText, badText, fc.constant(''));
/** For what need not be there. */
const noOption = fc.oneof(fc.constantFrom<unknown>(...otherTypes), badText);

export function hostileMessage(known: Known): Arbitrary<HostileMessage> {
  const ticketId = fc.oneof(fc.constantFrom(...known.ticketIds), objectId);
  const anyOrder = fc.constantFrom(...known.orderIds, ...known.untouchableIds);
  const text = hostileText.map((text) => `.${wellFormed(text.slice(0, 250))}`);

  const ticket = fc.record({
    id: ticketId,
    version: fc.nat(),
    title: text,
    price: fc.double({ min: 0, max: 1e6, noNaN: true }),
    userId: text,
    orderId: fc.option(anyOrder),
  });
  const wrongTicket = { id: noId, version: noVersion, title: noText, price: noPrice, userId: noOption };
  const tickets = ['ticket:created', 'ticket:updated'].map((subject): Contract => ({
    subject,
    good: ticket,
    wrong: wrongTicket,
  }));
  const expirations: Contract = {
    subject: 'expiration:complete',
    good: fc.record({ orderId: anyOrder }),
    wrong: { orderId: noId },
  };
  const payments: Contract = {
    subject: 'payment:created',
    good: fc.record({ id: text, orderId: anyOrder, stripeId: text }),
    wrong: { id: noName, orderId: noId, stripeId: noOption },
  };
  const contracts = [...tickets, expirations, payments];

  const paymentOf = (orderId: Arbitrary<string>) =>
    fc.record({ id: text, orderId, stripeId: text }).map(toMessage('payment:created'));
  const expirationOf = (orderId: Arbitrary<string>) =>
    fc.record({ orderId }).map(toMessage('expiration:complete'));
  const ours = fc.constantFrom(...known.orderIds);

  return weighted(
    [20, fc.oneof(...contracts.map(malformed)).map(fated('dead letter'))],
    [6, fc.oneof(...tickets.map(({ subject, good }) => good.map(toMessage(subject)))).map(fated('settled'))],
    [1, fc.oneof(paymentOf(ours), expirationOf(ours)).map(fated('settled'))],
    [1, fc.oneof(paymentOf(objectId), expirationOf(objectId)).map(fated('parked'))],
  );
}

/** Wrong in one certain place, however right the rest of it is. */
function malformed({ subject, good, wrong }: Contract): Arbitrary<Omit<HostileMessage, 'fate'>> {
  const [first = ''] = Object.keys(wrong);
  const wrongField = fc.oneof(
    ...Object.entries(wrong).map(([name, values]) =>
      fc.tuple(good, values).map(([fields, value]) => JSON.stringify({ ...fields, [name]: value })),
    ),
  );
  const json = good.map((fields) => JSON.stringify(fields));
  const bytes = weighted(
    [6, wrongField.map((text) => Buffer.from(text))],
    // Not an object at all, or one inside of something else.
    [1, good.map((fields) => Buffer.from(JSON.stringify([fields])))],
    [1, good.map((fields) => Buffer.from(JSON.stringify(JSON.stringify(fields))))],
    [1, good.map((data) => Buffer.from(JSON.stringify({ data })))],
    [1, good.map((fields) => Buffer.from(`{"__proto__":${JSON.stringify(fields)}}`))],
    [1, hostileJson.map((value) => Buffer.from(JSON.stringify({ [first]: [value] })))],
    [1, pollution.map((members) => Buffer.from(`{${members}}`))],
    // Not JSON.
    [2, fc.tuple(json, fc.nat()).map(([text, at]) => Buffer.from(text.slice(0, at % text.length)))],
    [1, json.map((text) => Buffer.from(`${text}${text}`))],
    [1, json.map((text) => Buffer.from(text, 'utf16le'))],
    [1, fc.constantFrom('', '{', 'undefined', '\0', '['.repeat(20_000)).map((text) => Buffer.from(text))],
    // Not UTF-8.
    [1, json.map((text) => Buffer.concat([Buffer.from(text), Buffer.from([0xc3, 0x28])]))],
    [1, fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.concat([Buffer.from([0xff]), bytes]))],
  );
  return bytes.map((data) => ({ subject, data }));
}

function toMessage(subject: string) {
  return (fields: Fields) => ({ subject, data: Buffer.from(JSON.stringify(fields)) });
}

function fated(fate: HostileMessage['fate']) {
  return (message: Omit<HostileMessage, 'fate'>): HostileMessage => ({ ...message, fate });
}

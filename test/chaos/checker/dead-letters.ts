import { ROUNDING_MS } from '../../invariants/payments';
import { HEARD, POISON_MARK, type ChannelMessage, type Remains } from '../history';
import { isAboutForeignOrder } from './convergence';
import { addTo, toMs, whileBrokersDiskWasFull, type Evidence } from './evidence';
import type { Ledger } from './verdict';

const MESSAGE_ID = /^(.+):(\d+):(\d+)$/;

type Failed = Remains['failedMessages'][number];

/** I10: what is put aside is what nobody can read, and what is about orders of others; nothing else, and all of it. */
export function checkDeadLetters(evidence: Evidence, { rule, note }: Ledger): void {
  const { remains, channel } = evidence;
  const mayBeLost = whileBrokersDiskWasFull(evidence);
  const isDead = rule('I10', 'each message that nobody can read is a dead letter, once');
  const isPutAside = rule('I10', 'each message about an order of others is put aside, once');
  const isAllowed = rule('I10', 'no other message is a dead letter');
  const failed = byMessage(remains.failedMessages);
  const mayBeDead = new Set<Failed>();

  for (const message of HEARD.flatMap(channel)) {
    if (!isHostile(message.text)) continue;
    const isPoison = message.text.includes(POISON_MARK);
    const found = (failed.get(keyOf(message.subject, message.sequence)) ?? []).filter(
      (one) => holds(one, message) && (!isPoison || !one.parked),
    );
    for (const one of found) mayBeDead.add(one);
    const fact = isPoison ? isDead : isPutAside;
    fact(
      found.length === 1,
      () => `${message.subject} ${message.sequence}, ${found.length} times: ${message.text}`,
    );
  }
  let ofLostMessages = 0;
  for (const one of remains.failedMessages) {
    if (one.parked) continue;
    const isOfLostMessage = !mayBeDead.has(one) && isHostile(one.data) && mayBeLost(msOf(one));
    if (isOfLostMessage) ofLostMessages += 1;
    isAllowed(isOfLostMessage || mayBeDead.has(one), () => `${one.id}: ${one.data}`);
  }
  note('dead letters of a message that the broker has lost', ofLostMessages);
}

/** What a peer sends that cannot be handled. */
function isHostile(text: string): boolean {
  return text.includes(POISON_MARK) || isAboutForeignOrder(text);
}

function byMessage(failed: readonly Failed[]): Map<string, Failed[]> {
  const found = new Map<string, Failed[]>();
  for (const one of failed) {
    const [, subject = '', sequence = ''] = MESSAGE_ID.exec(one.id) ?? [];
    addTo(found, keyOf(subject, Number(sequence)), one);
  }
  return found;
}

function keyOf(subject: string, sequence: number): string {
  return `${subject}:${sequence}`;
}

function holds(one: Failed, { at, text }: ChannelMessage): boolean {
  const { data } = one;
  const isText = data === text || Buffer.from(data, 'base64').toString() === text;
  return isText && Math.abs(msOf(one) - toMs(at)) <= ROUNDING_MS;
}

/** When the broker took the message. */
function msOf({ id }: Failed): number {
  const [, , , ms] = MESSAGE_ID.exec(id) ?? [];
  return Number(ms);
}

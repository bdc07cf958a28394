import { HEARD, POISON_MARK } from '../history';
import type { ChannelMessage, Remains } from '../history';
import { isAboutForeignOrder } from './convergence';
import { addTo, ROUNDING_MS, toMs, whileBrokersDiskWasFull } from './evidence';
import type { Evidence } from './evidence';
import type { Ledger } from './verdict';

const LETTER_ID = /^(.+):(\d+):(\d+)$/;

type Letter = Remains['deadLetters'][number];

/** I10: what is put aside is what nobody can read, and what is about orders of others; nothing else, and all of it. */
export function checkDeadLetters(evidence: Evidence, { rule, note }: Ledger): void {
  const { remains, channel } = evidence;
  const mayBeLost = whileBrokersDiskWasFull(evidence);
  const isDead = rule('I10', 'each message that nobody can read is a dead letter, once');
  const isPutAside = rule('I10', 'each message about an order of others is put aside, once');
  const isAllowed = rule('I10', 'no other message is a dead letter');
  const letters = byMessage(remains.deadLetters);
  const mayBeDead = new Set<Letter>();

  for (const message of HEARD.flatMap(channel)) {
    if (!isHostile(message.text)) continue;
    const isPoison = message.text.includes(POISON_MARK);
    const found = (letters.get(keyOf(message.subject, message.sequence)) ?? []).filter(
      (letter) => holds(letter, message) && (!isPoison || !letter.parked),
    );
    for (const letter of found) mayBeDead.add(letter);
    const fact = isPoison ? isDead : isPutAside;
    fact(
      found.length === 1,
      () => `${message.subject} ${message.sequence}, ${found.length} times: ${message.text}`,
    );
  }
  let ofLostMessages = 0;
  for (const letter of remains.deadLetters) {
    if (letter.parked) continue;
    const isOfLostMessage = !mayBeDead.has(letter) && isHostile(letter.data) && mayBeLost(msOf(letter));
    if (isOfLostMessage) ofLostMessages += 1;
    isAllowed(isOfLostMessage || mayBeDead.has(letter), () => `${letter.id}: ${letter.data}`);
  }
  note('dead letters of a message that the broker has lost', ofLostMessages);
}

/** What a peer sends that cannot be handled. */
function isHostile(text: string): boolean {
  return text.includes(POISON_MARK) || isAboutForeignOrder(text);
}

function byMessage(letters: readonly Letter[]): Map<string, Letter[]> {
  const found = new Map<string, Letter[]>();
  for (const letter of letters) {
    const [, subject = '', sequence = ''] = LETTER_ID.exec(letter.id) ?? [];
    addTo(found, keyOf(subject, Number(sequence)), letter);
  }
  return found;
}

function keyOf(subject: string, sequence: number): string {
  return `${subject}:${sequence}`;
}

function holds(letter: Letter, { at, text }: ChannelMessage): boolean {
  const { data } = letter;
  const isText = data === text || Buffer.from(data, 'base64').toString() === text;
  return isText && Math.abs(msOf(letter) - toMs(at)) <= ROUNDING_MS;
}

/** When the broker took the message. */
function msOf({ id }: Letter): number {
  const [, , , ms] = LETTER_ID.exec(id) ?? [];
  return Number(ms);
}

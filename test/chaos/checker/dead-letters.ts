import { HEARD, POISON_MARK } from '../history';
import type { ChannelMessage, Remains } from '../history';
import { isAboutForeignOrder } from './convergence';
import { addTo, ROUNDING_MS, toMs } from './evidence';
import type { Evidence } from './evidence';
import type { Ledger } from './verdict';

const LETTER_ID = /^(.+):(\d+):(\d+)$/;

type Letter = Remains['deadLetters'][number];

/** I10: what is put aside is what nobody can read, and what is about orders of others; nothing else, and all of it. */
export function checkDeadLetters({ remains, channel }: Evidence, { rule }: Ledger): void {
  const isDead = rule('I10', 'each message that nobody can read is a dead letter, once');
  const isPutAside = rule('I10', 'each message about an order of others is put aside, once');
  const isAllowed = rule('I10', 'no other message is a dead letter');
  const letters = byMessage(remains.deadLetters);
  const mayBeDead = new Set<Letter>();

  for (const message of HEARD.flatMap(channel)) {
    const isPoison = message.text.includes(POISON_MARK);
    if (!isPoison && !isAboutForeignOrder(message.text)) continue;
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
  for (const letter of remains.deadLetters) {
    if (!letter.parked) isAllowed(mayBeDead.has(letter), () => `${letter.id}: ${letter.data}`);
  }
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

function holds({ id, data }: Letter, { at, text }: ChannelMessage): boolean {
  const [, , , ms] = LETTER_ID.exec(id) ?? [];
  const isText = data === text || Buffer.from(data, 'base64').toString() === text;
  return isText && Math.abs(Number(ms) - toMs(at)) <= ROUNDING_MS;
}

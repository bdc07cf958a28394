import type { DeadLetter, Message } from '../application/ports';
import { decodeUtf8 } from './contracts';

/** A message as it is put aside: nothing of it is lost, whatever its bytes are. */
export function deadLetter(message: Message, reason: string, now: Date): DeadLetter {
  const { subject, sequence, publishedAt, data } = message;
  const text = decodeUtf8(data);
  return {
    id: `${subject}:${sequence}:${publishedAt.getTime()}`,
    subject,
    sequence,
    publishedAt,
    ...(text === undefined ? { data: data.toString('base64'), encoding: 'base64' } : { data: text }),
    reason,
    attempts: 1,
    at: now,
  };
}

/** The message again, as if the broker had delivered it once more. */
export function toMessage({ subject, sequence, publishedAt, data, encoding }: DeadLetter): Message {
  return { subject, sequence, publishedAt, redelivered: true, data: Buffer.from(data, encoding ?? 'utf8') };
}

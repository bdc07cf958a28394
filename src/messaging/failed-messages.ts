import type { Message } from '../application/bus';
import type { FailedMessage } from '../application/failed-messages';
import { decodeUtf8 } from './contracts';

/** A document of the database holds 16 MB, and base64 takes a third more. */
export const MOST_KEPT_BYTES = 8 * 1024 * 1024;

/** A message in its stored form, whatever its bytes are: all of it, up to 8 MB. */
export function toFailedMessage(message: Message, why: string, now: Date): FailedMessage {
  const { subject, sequence, publishedAt } = message;
  const data = message.data.subarray(0, MOST_KEPT_BYTES);
  const isCut = data.length < message.data.length;
  const reason = isCut ? `${why}; the first ${data.length} of ${message.data.length} bytes are kept` : why;
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

/** The stored message, as if the broker had redelivered it. */
export function toMessage({ subject, sequence, publishedAt, data, encoding }: FailedMessage): Message {
  return { subject, sequence, publishedAt, redelivered: true, data: Buffer.from(data, encoding ?? 'utf8') };
}

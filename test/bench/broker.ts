import { connectPeer } from '../support/nats-peer';

const TRY_EVERY_MS = 10;
/** More would wait for the broker until their time is up. */
const PUBLISHED_AT_ONCE = 5_000;
/** What was sent to a broker that listens, but is not ready yet, is never answered. */
const ATTEMPT_MS = 100;

/**
 * Resolves when a client, that tries again every ten milliseconds, could connect and had its first publish acknowledged:
 * to the time of that, in milliseconds since 1970.
 */
export function untilBrokerTakes(url: string): Promise<number> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      publishOnce(url).then(
        (at) => {
          clearInterval(timer);
          resolve(at);
        },
        () => {},
      );
    }, TRY_EVERY_MS);
  });
}

async function publishOnce(url: string): Promise<number> {
  const peer = await connectPeer(url, { connectTimeout: ATTEMPT_MS, ackTimeout: 10 * ATTEMPT_MS });
  try {
    await peer.publish('bench:probe', 'probe');
    return Date.now();
  } finally {
    // Of a connection that is lost nobody hears that it was closed.
    peer.close().catch(() => {});
  }
}

/** Publishes a new ticket for each of the ids. */
export async function announceTickets(url: string, subject: string, ids: readonly string[]): Promise<void> {
  const peer = await connectPeer(url);
  const ticket = { version: 0, title: 'A concert', price: 12.5, userId: 'seller' };
  for (let first = 0; first < ids.length; first += PUBLISHED_AT_ONCE) {
    const some = ids.slice(first, first + PUBLISHED_AT_ONCE);
    await Promise.all(some.map((id) => peer.publish(subject, { id, ...ticket })));
  }
  await peer.close();
}

/** When the broker stored the messages of these channels since then; all times in milliseconds since 1970, sorted. */
export async function storedSince(
  url: string,
  subjects: readonly string[],
  since: number,
): Promise<number[]> {
  const peer = await connectPeer(url);
  try {
    const times: number[] = [];
    for (const subject of subjects) {
      for (const { at } of await peer.wholeChannel(subject)) times.push(at / 1_000_000);
    }
    return times.filter((at) => at >= since).sort((a, b) => a - b);
  } finally {
    await peer.close();
  }
}

/** Publishes messages in lanes: one after the other in each, all lanes at once. Resolves to the seconds it took. */
export async function publishInLanes(
  url: string,
  subject: string,
  { lanes, each, text }: { lanes: number; each: number; text: string },
): Promise<number> {
  const peer = await connectPeer(url);
  try {
    const startedAt = performance.now();
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let i = 0; i < each; i += 1) await peer.publish(subject, text);
      }),
    );
    return (performance.now() - startedAt) / 1000;
  } finally {
    await peer.close();
  }
}

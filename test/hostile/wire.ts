import { connect, type Socket } from 'node:net';

/** HTTP as it is on the wire: clients as they are usually written would refuse to send most of what is sent here. */

export interface Answer {
  readonly status: number;
  /** By lower-case name; the last one of a name. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export interface Call {
  readonly method: string;
  readonly bytes: Buffer;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** Resolves to the answers to all of the calls, which are sent at once; rejects when one does not come in time. */
export async function pipeline(socket: Socket, calls: readonly Call[], silenceMs: number): Promise<Answer[]> {
  const reader = createAnswerReader(calls.map(({ method }) => method));
  if (calls.length === 0) return [];
  try {
    return await new Promise((resolve, reject) => {
      const missing = (why: string) => () => {
        const call = calls[reader.answers.length];
        reject(new Error(`${why} before the answer to ${JSON.stringify(call?.bytes.toString('latin1'))}`));
      };
      socket.setTimeout(silenceMs, missing(`${silenceMs} ms of silence`));
      socket.on('error', missing('the connection broke'));
      socket.on('close', missing('the connection was closed'));
      socket.on('data', (chunk) => {
        try {
          reader.take(chunk);
        } catch (error) {
          reject(new Error(`not HTTP: ${JSON.stringify(chunk.toString('latin1'))}`, { cause: error }));
        }
        if (reader.answers.length === calls.length) resolve([...reader.answers]);
      });
      socket.write(Buffer.concat(calls.map(({ bytes }) => bytes)));
    });
  } finally {
    for (const event of ['timeout', 'error', 'close', 'data']) socket.removeAllListeners(event);
    socket.setTimeout(0);
    socket.on('error', () => {});
  }
}

/** What came until the server closed the connection. */
export interface Exchange {
  readonly answers: readonly Answer[];
  readonly text: string;
}

/**
 * Sends the bytes over a connection of their own, and nothing after them where `end` says so. Rejects when the server
 * keeps the connection for longer than `patienceMs`.
 */
export function exchange(
  port: number,
  { bytes, method = 'GET', end = false }: Partial<Call> & { bytes: Buffer; end?: boolean },
  patienceMs: number,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    const patience = setTimeout(() => {
      socket.destroy();
      const text = JSON.stringify(bytes.toString('latin1').slice(0, 2_000));
      reject(new Error(`the connection is still open ${patienceMs} ms after ${text}`));
    }, patienceMs);
    socket.on('data', (chunk) => chunks.push(chunk));
    // A server that refuses does not read what is still on its way, and says so by a reset.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(patience);
      const received = Buffer.concat(chunks);
      const text = received.toString('latin1');
      try {
        const reader = createAnswerReader([method]);
        reader.take(received);
        resolve({ answers: reader.answers, text });
      } catch (error) {
        reject(new Error(`not HTTP: ${JSON.stringify(text)}`, { cause: error }));
      }
    });
    if (end) socket.end(bytes);
    else socket.write(bytes);
  });
}

export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

interface AnswerReader {
  readonly answers: readonly Answer[];
  take(chunk: Buffer): void;
}

/** Takes answers from a stream of bytes; whether one has a body depends on the method that it answers. */
export function createAnswerReader(methods: readonly string[]): AnswerReader {
  const answers: Answer[] = [];
  let rest: Buffer = Buffer.alloc(0);

  function readOne(): boolean {
    const headEnd = rest.indexOf(HEAD_END);
    if (headEnd < 0) return false;
    const { status, headers } = readHead(rest.toString('latin1', 0, headEnd));
    const bodyStart = headEnd + HEAD_END.length;
    const length = status < 200 ? 0 : bodyLength(status, methods[answers.length] ?? '', headers);
    if (rest.length < bodyStart + length) return false;
    const body = rest.toString('utf8', bodyStart, bodyStart + length);
    rest = rest.subarray(bodyStart + length);
    // An interim one, such as 100 Continue, is not the answer.
    if (status >= 200) answers.push({ status, headers, body });
    return true;
  }

  return {
    answers,
    take(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length > 0 && readOne());
    },
  };
}

function readHead(head: string): Pick<Answer, 'status' | 'headers'> {
  const [first = '', ...lines] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  if (!Number.isInteger(status)) throw new Error(`no status line: ${JSON.stringify(first)}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status, headers };
}

function bodyLength(status: number, method: string, headers: Answer['headers']): number {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  return Number(headers['content-length'] ?? 0);
}

import { closeSync, createWriteStream, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import type { HistoryLine } from './history';

/** A line without its time: it is given that when it is recorded. */
export type Unrecorded = HistoryLine extends infer Line
  ? Line extends unknown
    ? Omit<Line, 't'>
    : never
  : never;

/** Writes the history down as it happens, and counts what a campaign is to meet. */
export type Recorder = ReturnType<typeof createRecorder>;

export function createRecorder(path: string) {
  const startedAt = performance.now();
  const file = createWriteStream(path);
  const hits = new Map<string, number>();
  let closed = false;
  const elapsed = () => performance.now() - startedAt;

  return {
    /** Milliseconds since the start of the campaign. */
    elapsed,
    record(line: Unrecorded): void {
      // Where a campaign fails, what is still under way has nobody left to tell.
      if (!closed) file.write(`${JSON.stringify({ t: Math.round(elapsed() * 1000) / 1000, ...line })}\n`);
    },
    hit(what: string, times = 1): void {
      if (times > 0) hits.set(what, (hits.get(what) ?? 0) + times);
    },
    hits: hits as ReadonlyMap<string, number>,
    /** Resolves when everything is in the file. */
    close(): Promise<void> {
      closed = true;
      return new Promise((resolve) => file.end(resolve));
    },
  };
}

/** Line by line: a long history is larger than the memory that should be spent on it. */
export function* readHistory(path: string): Iterable<HistoryLine> {
  const file = openSync(path, 'r');
  const decoder = new StringDecoder('utf8');
  const chunk = Buffer.alloc(1 << 20);
  let rest = '';
  try {
    for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk)) {
      const lines = (rest + decoder.write(chunk.subarray(0, size))).split('\n');
      rest = lines.pop()!;
      for (const line of lines) yield JSON.parse(line) as HistoryLine;
    }
  } finally {
    closeSync(file);
  }
}

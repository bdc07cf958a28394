const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * The lines of a stream as they are, byte by byte, without their ends; the last one may have none. `too long` stands for
 * a line of more than `mostBytes`: no more of it than that is kept.
 */
export async function* readLines(
  input: AsyncIterable<Buffer | string>,
  mostBytes: number,
): AsyncGenerator<Buffer | 'too long'> {
  let line = createLine(mostBytes);
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk);
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      line.add(bytes.subarray(start, end));
      yield line.take();
      line = createLine(mostBytes);
      start = end + 1;
    }
    line.add(bytes.subarray(start));
  }
  if (!line.isEmpty()) yield line.take();
}

function createLine(mostBytes: number) {
  let parts: Buffer[] = [];
  let length = 0;
  return {
    add(part: Buffer): void {
      length += part.length;
      // One byte more for a carriage return at the end.
      if (length > mostBytes + 1) parts = [];
      else parts.push(part);
    },
    isEmpty: () => length === 0,
    take(): Buffer | 'too long' {
      const whole = Buffer.concat(parts);
      const text = whole.at(-1) === CARRIAGE_RETURN ? whole.subarray(0, -1) : whole;
      return length > mostBytes + 1 || text.length > mostBytes ? 'too long' : text;
    },
  };
}

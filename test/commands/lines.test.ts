import { readLines } from '../../src/commands/lines';

const MB = 1024 * 1024;

async function linesOf(chunks: Iterable<string> | AsyncIterable<Buffer | string>, mostBytes = 8) {
  const lines: string[] = [];
  for await (const line of readLines(chunks as AsyncIterable<Buffer | string>, mostBytes)) {
    lines.push(line.toString());
  }
  return lines;
}

describe('the lines of a stream', () => {
  it.each([
    [
      ['one\n', 'two'],
      ['one', 'two'],
    ],
    [
      ['on', 'e\r', '\ntw', 'o\r\n'],
      ['one', 'two'],
    ],
    [
      ['\n', '\r\n', 'x'],
      ['', '', 'x'],
    ],
    [[''], []],
    [['12345678\n12345678\r\n'], ['12345678', '12345678']],
    [
      ['123456789\nnext\n1234', '56789'],
      ['too long', 'next', 'too long'],
    ],
    [
      ['12345678\r\r\n', '1234567890\r\n'],
      ['too long', 'too long'],
    ],
  ])('of %j are %j', async (chunks, lines) => {
    expect(await linesOf(chunks)).toEqual(lines);
  });

  it('are read with no more memory than the longest line needs', async () => {
    const chunks = 1_000;
    let most = 0;
    async function* endless(): AsyncGenerator<Buffer> {
      for (let i = 0; i < chunks; i += 1) {
        most = Math.max(most, process.memoryUsage().arrayBuffers);
        yield Buffer.alloc(MB, 'x');
      }
      yield Buffer.from('\nnext');
    }
    const before = process.memoryUsage().arrayBuffers;

    expect(await linesOf(endless(), 8 * MB)).toEqual(['too long', 'next']);
    expect(most - before).toBeLessThan((chunks / 2) * MB);
  });
});

import { PassThrough, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { CommandFailed } from '../../src/commands/exit-codes';
import { createOutput, printable } from '../../src/commands/output';

function failing(code: string): Writable {
  return new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`${code}: no`), { code })),
  });
}

describe('the output', () => {
  it('goes on when nobody reads it any more', async () => {
    const output = createOutput(failing('EPIPE'), failing('EPIPE'));
    output.note('a note');

    await expect(output.print('a line')).resolves.toBeUndefined();
  });

  it('fails when it cannot be written', async () => {
    const output = createOutput(failing('ENOSPC'), failing('ENOSPC'));
    output.note('a note');

    const printing = output.print('a line');
    await expect(printing).rejects.toThrow(CommandFailed);
    await expect(printing).rejects.toThrow('the output cannot be written: ENOSPC: no');
  });

  it('is as it is on stdout, and printable on stderr', async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const output = createOutput(stdout, stderr);
    await output.print('{"a":"\u009b"}');
    output.note('one\ntwo\u009b');
    stdout.end();
    stderr.end();

    expect([await text(stdout), await text(stderr)]).toEqual(['{"a":"\u009b"}\n', 'one\ntwo\\u009b\n']);
  });
});

it.each([
  ['Zoë – 日本 😀', 'Zoë – 日本 😀'],
  ['a\tb\r\n\u0000', 'a\\tb\\r\\n\\u0000'],
  ['\u001b[2J\u009b31m\u007f', '\\u001b[2J\\u009b31m\\u007f'],
  ['\u202e\u2066\u200b\ufeff\u2028\u{e0041}', '\\u202e\\u2066\\u200b\\ufeff\\u2028\\udb40\\udc41'],
])('is printable, example %#', (given, printed) => {
  expect(printable(given)).toBe(printed);
});

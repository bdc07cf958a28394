import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROBLEM_CODES, PROBLEM_TYPES } from '../../src/http/problem-types';
import { openApi, violationsOfSchema } from '../support/contract';

const root = join(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The rows of the tables under each heading, without their heads. */
function rowsUnder(heading: string): string[] {
  const section = read('docs/problems.md')
    .split(/^## /m)
    .find((text) => text.startsWith(heading));
  return [...(section ?? '').matchAll(/^\| .* \|$/gm)].map(([row]) => row).slice(2);
}

describe('docs/problems.md', () => {
  it('has what the page of each type of problem tells', () => {
    expect(rowsUnder('Problems of the HTTP API')).toEqual(
      PROBLEM_CODES.map((code) => {
        const { status, title, cause, remedy } = PROBLEM_TYPES[code];
        return `| ${status} | \`${code}\` | ${title} | ${cause} | ${remedy} |`;
      }),
    );
  });

  it('shows a problem that the document allows', () => {
    const [, example = ''] = /```json\n([^]*?)```/.exec(read('docs/problems.md')) ?? [];

    expect(violationsOfSchema(openApi.components.schemas['PriceChanged'] ?? {}, JSON.parse(example))).toEqual(
      [],
    );
  });

  it('has the code of each error of the code', () => {
    const codes = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => [...read(join('src', file)).matchAll(/^ {2}readonly code = '([\w-]+)';$/gm)])
      .map(([, code]) => code);
    const documented = rowsUnder('Error codes').map((row) => /^\| `([\w-]+)` \|/.exec(row)?.[1]);

    expect(codes).toContain('unavailable');
    expect(documented.sort()).toEqual(codes.sort());
  });
});

describe('the types of problems', () => {
  it('are listed by status, with codes that can be part of a path', () => {
    const statuses = PROBLEM_CODES.map((code) => PROBLEM_TYPES[code].status);

    expect(statuses).toEqual([...statuses].sort());
    for (const code of PROBLEM_CODES) expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
  });

  it('tell the cause and the remedy in sentences', () => {
    for (const code of PROBLEM_CODES) {
      const { cause, remedy } = PROBLEM_TYPES[code];
      for (const text of [cause, remedy]) expect(text).toMatch(/^[A-Z`][^|\n]+\.$/);
    }
  });
});

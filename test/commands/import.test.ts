import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import {
  ImportFailed,
  ImportRefused,
  type ImportTarget,
  type OldBatch,
  type OldOrder,
} from '../../src/application/import/ports';
import { importCommand } from '../../src/commands/import';
import { createOutput } from '../../src/commands/output';
import { runProgram } from '../../src/commands/run';

const ESCAPE = '\u001b[31m';
/** The introducer of control sequences as one character, and a mark that turns the direction of text. */
const OTHER_ESCAPES = '\u009b31m \u202e';
const EMPTY: OldBatch = { tickets: [], refusedOrders: [], refusedTickets: [], unknownFields: new Map() };

const idOf = (nth: number) => (0x65000000 + nth).toString(16).padEnd(24, '0');
const TICKET = 'a'.repeat(24);
const copy = { id: TICKET, version: 0, title: 'Concert', price: 20 };

function order(nth: number, status: OldOrder['status']): OldOrder {
  const createdAt = new Date((0x65000000 + nth) * 1000);
  return { id: idOf(nth), version: 0, userId: 'buyer', status, createdAt, expiresAt: createdAt, source: {} };
}

describe('order-service import', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'import-'));
    file = join(folder, 'rejected.ndjson');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  /** Of an old database with these batches, into a database in which nothing is stored. */
  async function run(
    batches: readonly OldBatch[],
    { args = [], target = {} }: { args?: readonly string[]; target?: Partial<ImportTarget> } = {},
  ) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const [printed, noted] = [text(stdout), text(stderr)];
    const output = createOutput(stdout, stderr);
    const openImport = async () => ({
      source: {
        batches: async function* () {
          yield* batches;
        },
        textOf: (source: unknown) => JSON.stringify(source),
      },
      target: {
        begin: async () => false,
        isUnfinished: async () => false,
        stored: async () => new Map(),
        write: async () => {},
        finish: async () => {},
        ...target,
      },
    });
    const program = new Command().addCommand(importCommand({ openImport, output }));
    const code = await runProgram(program, ['import', '--rejected', file, ...args], output);
    stdout.end();
    stderr.end();
    return { code, stdout: await printed, stderr: await noted };
  }

  const refusedOrder = (id: string, reason: string): OldBatch => ({
    ...EMPTY,
    refusedOrders: [{ id, reason, source: {}, mayHoldTicket: true }],
  });

  it.each([
    ['is refused', new ImportRefused('own orders'), 4],
    ['cannot begin yet', new ImportFailed('another import is running'), 1],
  ])('that %s leaves the file of an earlier one as it is', async (_, error, code) => {
    writeFileSync(file, 'of an earlier import\n');
    const refusing = { target: { begin: () => Promise.reject(error) } };
    const refused = await run([refusedOrder('x', 'r')], refusing);
    expect(refused).toEqual({ code, stdout: '', stderr: `error: ${error.message}\n` });
    expect(readFileSync(file, 'utf8')).toBe('of an earlier import\n');
  });

  it.each([[[]], [['--dry-run']]])('with the options %j begins its own file', async (args) => {
    writeFileSync(file, 'of an earlier import\n');
    await run([refusedOrder('x', 'r'), refusedOrder('y', 'r')], { args });
    expect(readFileSync(file, 'utf8').trim().split('\n')).toEqual([
      expect.stringContaining('"id":"x"'),
      expect.stringContaining('"id":"y"'),
    ]);
    await run([EMPTY], { args });
    expect(readFileSync(file, 'utf8')).toBe('');
  });

  it('writes to a device, and says in one line if that is full', async () => {
    const batches = [refusedOrder('x', 'r'), refusedOrder('y', 'r')];
    const nowhere = await run(batches, { args: ['--rejected', '/dev/null'] });
    expect({ ...nowhere, stdout: '' }).toEqual({ code: 3, stdout: '', stderr: '' });
    expect(nowhere.stdout).toContain('/dev/null');
    expect(await run(batches, { args: ['--rejected', '/dev/full'] })).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: --rejected: writing to /dev/full failed (ENOSPC)\n',
    });
  });

  it.each([
    ['import', []],
    ['dry run', ['--dry-run']],
  ])('adds to the file of an import that was not finished: as an %s', async (_, args) => {
    writeFileSync(file, 'of the unfinished import\n');
    const unfinished = async () => true;
    await run([refusedOrder('x', 'r'), refusedOrder('y', 'r')], {
      args,
      target: { begin: unfinished, isUnfinished: unfinished },
    });
    expect(readFileSync(file, 'utf8').trim().split('\n')).toEqual([
      'of the unfinished import',
      expect.stringContaining('"id":"x"'),
      expect.stringContaining('"id":"y"'),
    ]);
  });

  it('prints no character of the old database that controls the terminal', async () => {
    const bad = `${ESCAPE}${OTHER_ESCAPES}\n`;
    const batch = {
      ...refusedOrder(`id ${bad}`, `reason ${bad}`),
      unknownFields: new Map([[`name ${bad}`, 2]]),
    };
    const shown = '\\u001b[31m\\u009b31m \\u202e\\n';
    const { stdout } = await run([batch]);
    for (const what of ['2 name', 'id', 'reason']) expect(stdout).toContain(`${what} ${shown}`);

    const json = await run([batch], { args: ['--json', '--rejected', '-'] });
    const control = /[\p{Cc}\p{Cf}]/u;
    for (const line of [...stdout.split('\n'), ...json.stdout.split('\n')]) expect(line).not.toMatch(control);
    const [line, report] = json.stdout
      .trim()
      .split('\n')
      .map((one) => JSON.parse(one) as object);
    expect(line).toMatchObject({ id: `id ${bad}`, reason: `reason ${bad}` });
    expect(report).toMatchObject({ unknownFields: { [`name ${bad}`]: 2 } });

    const begin = () => Promise.reject(new ImportRefused(`_id ${bad}`));
    expect((await run([batch], { target: { begin } })).stderr).toBe(`error: _id ${shown}\n`);
  });

  it('lists a thousand names of fields and reasons, and counts the others together', async () => {
    const names = Array.from({ length: 1_200 }, (_, nth) => `field ${nth}`);
    const batches = names.map((name) => ({
      ...refusedOrder('x', `reason of ${name}`),
      unknownFields: new Map([
        [name, 1],
        ['in all', 1],
      ]),
    }));
    const { stdout } = await run(batches, { args: ['--json'] });
    const { unknownFields, rejected } = JSON.parse(stdout) as {
      unknownFields: Record<string, number>;
      rejected: { reason: string; count: number }[];
    };
    expect(Object.keys(unknownFields)).toHaveLength(1_001);
    expect(unknownFields).toMatchObject({ 'field 0': 1, 'in all': 1_200, '(others)': 201 });
    expect(rejected).toHaveLength(1_001);
    expect(rejected[0]).toMatchObject({ reason: '(others)', count: 200 });
  });

  it('has keys without spaces, and counts that add up', async () => {
    const gone = {
      id: idOf(0),
      version: 0,
      userId: 'u',
      status: 'created',
      createdAt: new Date(),
      expiresAt: new Date(),
      ticket: copy,
      payments: [],
    } as const;
    const stored = new Map([[TICKET, { orders: [{ order: gone, turn: 0, importedVersion: 0 }] }]]);
    const ticket = { id: TICKET, copy, orders: [order(1, 'cancelled'), order(2, 'complete')], refused: [] };
    const batch = { ...EMPTY, tickets: [ticket] };
    const args = ['--json'];
    const { code, stdout } = await run([batch], { args, target: { stored: async () => stored } });
    expect(code).toBe(3);
    const report = JSON.parse(stdout) as { orders: Record<string, number> };
    expect(keysOf(report).filter((key) => !/^[a-z][A-Za-z]*$/.test(key))).toEqual([]);
    const { read, removed, ...others } = report.orders;
    expect([read, removed]).toEqual([2, 1]);
    expect(Object.values(others).reduce((sum, count) => sum + count)).toBe(2);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      id: gone.id,
      keptOrderId: idOf(2),
      document: { id: gone.id, userId: 'u' },
    });
  });

  it('says what an order that is not imported means for buyers', async () => {
    const tickets = [
      { id: TICKET, copy, orders: [order(1, 'created'), order(2, 'created')], refused: [] },
      { id: 'b'.repeat(24), orders: [order(3, 'created')], refused: [] },
      {
        id: 'c'.repeat(24),
        copy: { ...copy, id: 'c'.repeat(24) },
        orders: [],
        refused: [],
        holdersInOtherForm: [idOf(4), idOf(5)],
      },
    ];
    const { stdout } = await run([{ ...EMPTY, tickets }]);
    expect(stdout).toMatch(new RegExp(`a{24} +${idOf(2)} +held by order ${idOf(1)}$`, 'm'));
    expect(stdout).toMatch(new RegExp(`b{24} +${idOf(3)} +CAN BE SOLD: correct or cancel`));
    expect(stdout).toMatch(new RegExp(`c{24} +${idOf(4)}, ${idOf(5)} +refused until the ticket service`));
    expect(stdout).toMatch(new RegExp(`1 +order +ticket: there is no copy of it +${idOf(3)}$`, 'm'));
  });

  it('says that a ticket can be sold whose orders all stay cancelled, and exits with 3', async () => {
    const [kept, paid] = [order(1, 'cancelled'), order(2, 'complete')];
    const { source: _, ...fields } = paid;
    const cancelled = {
      order: {
        ...fields,
        expiresAt: paid.createdAt,
        status: 'cancelled',
        version: 1,
        ticket: copy,
        payments: [],
      },
      turn: 0,
      importedVersion: 1,
      conflictWith: kept.id,
      isAnnounced: true,
    } as const;
    const stored = async () => new Map([[TICKET, { orders: [cancelled] }]]);
    const tickets = [{ id: TICKET, copy, orders: [kept, paid], refused: [] }];
    const { code, stdout } = await run([{ ...EMPTY, tickets }], { target: { stored } });
    expect(code).toBe(3);
    expect(stdout).toMatch(/Tickets that several orders hold: 1$/m);
    expect(stdout).toMatch(/a{24} +- +- +CAN BE SOLD/);
    expect(stdout).toMatch(new RegExp(`a{24} +${paid.id} +complete +cancelled, to be refunded$`, 'm'));
  });

  it('says at the end how many orders it has read, if it has said how many so far', async () => {
    const now = jest.spyOn(performance, 'now');
    const quick = await run([refusedOrder('x', 'r')]);
    expect(quick.stderr).toBe('');
    let at = 0;
    now.mockImplementation(() => (at += 600));
    const slow = await run(Array.from({ length: 4 }, () => refusedOrder('x', 'r')));
    now.mockRestore();
    expect(slow.stderr).toMatch(/^(\d orders read \.\.\.\n)+4 orders read\n$/);
  });
});

function keysOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(keysOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...keysOf(inner)]);
}

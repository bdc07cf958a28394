/** `npm run chaos`: see `--help`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { parseArgs } from 'node:util';
import { onAskedToStop } from '../support/asked-to-stop';
import { messageOf, say } from '../support/command';
import { findMongod, findProgram } from '../support/find-servers';
import { pathOf } from '../support/servers';
import { wholeNumber } from '../support/whole-number';
import { CONVERGES_WITHIN_MS, HISTORY, REMAINS, TABLE, runCampaign } from './campaign';
import { check } from './checker/check';
import { total, type Verdict } from './checker/verdict';
import type { HistoryLine, Remains } from './history';
import { readHistory } from './recorder';
import { createMinutes } from './report/minutes';
import { renderTable } from './report/table';
import { bugNamed } from './service/bugs';

const HELP = `Usage: npm run chaos -- [--minutes M] [--seed S] [--folder F]

Runs four replicas of the service, a mongod, a NATS Streaming server and their peers as real processes, sells
tickets, and breaks things for so many minutes (5): kills, freezes, crash points, cut and silent connections, full
disks, wrong clocks, poison. Then waits until all has come to rest, and checks that every promise was kept.

The report is two tables here, of the minutes and of the rules, and a folder with the same (table.txt), the history
(history.jsonl), what was left in the end (remains.v8) and all logs. It takes about a minute more than things break.
Ctrl-C ends the faults early, and what was done is still checked; once more ends it at once.

Ends with 0 if no promise was broken and, from five minutes on, every rule was looked at and everything met that is to
be met; else with 1. With 2 if it could not be carried out, and with 130 if it was interrupted and nothing was broken.

  --minutes M   how long things break
  --seed S      draws alike faults again: when they come, and what comes of them, is up to the machine too; one of its
                own is drawn and named otherwise
  --folder F    where the report goes (chaos-report/<seed>)
  --check F     runs and writes nothing: checks once more what a campaign left in this folder
  --bug B       with a mistake planted, that has to be found: see test/chaos/service/bugs.ts
`;

const INTERRUPTED = 130;
/** From this length on, what was never met or never looked at fails the run. */
const MEETS_EVERYTHING_FROM_MINUTES = 5;

interface Asked {
  readonly minutes: number;
  readonly seed: number;
  readonly folder: string;
  readonly bug?: string;
}

async function main(): Promise<number> {
  let asked: ReturnType<typeof parse>;
  try {
    asked = parse();
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n${HELP.slice(0, HELP.indexOf('\n'))}   (--help tells more)\n`);
    return 2;
  }
  if (asked === 'help') {
    say(HELP);
    return 0;
  }
  return 'check' in asked ? checkAgain(asked.check) : carryOut(asked);
}

/** Throws what is wrong with the arguments. */
function parse(): Asked | { readonly check: string } | 'help' {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { minutes: text, seed: text, folder: text, bug: text, check: text, help: { type: 'boolean' } },
  });
  if (values.help) return 'help';
  if (values.check !== undefined) return { check: values.check };
  const minutes = Number(values.minutes ?? '5');
  if (!(minutes > 0 && minutes < Infinity)) throw new Error('--minutes must be a number above 0');
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : wholeNumber('seed', values.seed, 0);
  bugNamed(values.bug);
  const folder = values.folder ?? join('chaos-report', String(seed));
  return { minutes, seed, folder, ...(values.bug === undefined ? {} : { bug: values.bug }) };
}

function checkAgain(folder: string): number {
  const path = join(folder, REMAINS);
  if (!existsSync(path))
    throw new Error(`no campaign has come to its end in ${folder}: there is no ${REMAINS}`);
  const verdict = checkFolder(folder, deserialize(readFileSync(path)) as Remains, () => {});
  say(renderTable(verdict, new Map(), []));
  return total(verdict, 'violated') > 0 ? 1 : 0;
}

async function carryOut(asked: Asked): Promise<number> {
  const { minutes, seed, folder } = asked;
  const stopped = new AbortController();
  onAskedToStop((again) => {
    // Whoever asks twice does not want to wait; what was started is killed on the way out.
    if (again) process.exit(INTERRUPTED);
    say('Stopping: the faults end, and what was done is checked. Once more ends it at once.');
    stopped.abort();
  });

  say(`A campaign of ${minutes} minutes, seed ${seed}; its report goes to ${folder}/.`);
  const { hits, toBeMet, remains } = await runCampaign({
    ...asked,
    mongod: pathOf(await findMongod()),
    natsStreamingServer: pathOf(findProgram('nats-streaming-server', 'NATS_STREAMING_SERVER')),
    stopped: stopped.signal,
    say,
  });

  writeFileSync(join(folder, REMAINS), serialize(remains));
  const byMinute = createMinutes();
  const verdict = checkFolder(folder, remains, byMinute.add);
  const table = `${byMinute.table()}\n\n${renderTable(verdict, hits, toBeMet)}`;
  writeFileSync(join(folder, TABLE), `${table}\n`);
  say(`${table}\n`);

  const left = [
    ...verdict.results.filter(({ checked }) => checked === 0).map(({ title }) => title),
    ...toBeMet.filter((what) => !hits.has(what)),
  ];
  const wasInterrupted = stopped.signal.aborted;
  const mustMeetAll = !wasInterrupted && minutes >= MEETS_EVERYTHING_FROM_MINUTES;
  const violated = total(verdict, 'violated');
  say(
    `${violated} violations in ${total(verdict, 'checked')} facts${wasInterrupted ? ', interrupted' : ''}. Report: ${folder}/`,
  );
  if (left.length > 0) {
    const counts = `that fails a run of ${MEETS_EVERYTHING_FROM_MINUTES} minutes or more that is not interrupted`;
    say(`${left.length} rules or situations were never met: ${counts}.`);
  }
  if (violated > 0 || (mustMeetAll && left.length > 0)) return 1;
  return wasInterrupted ? INTERRUPTED : 0;
}

/** Checks what a campaign left in its folder; `look` sees each line of the history on the way. */
function checkFolder(folder: string, remains: Remains, look: (line: HistoryLine) => void): Verdict {
  const history = passingBy(readHistory(join(folder, HISTORY)), look);
  return check(history, remains, { convergenceMs: CONVERGES_WITHIN_MS });
}

/** A long history is read once, for all who look at it. */
function* passingBy<T>(lines: Iterable<T>, look: (line: T) => void): Iterable<T> {
  for (const line of lines) {
    look(line);
    yield line;
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    // Those that were thrown on purpose are plain errors, and say enough.
    const isPlain = error instanceof Error && error.constructor === Error;
    const text = error instanceof Error && !isPlain ? error.stack : messageOf(error);
    process.stderr.write(`The campaign could not be carried out: ${text}\n`);
    process.exit(2);
  },
);

/** `npm run chaos`: see `--help`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { parseArgs } from 'node:util';
import { findMongod, findProgram } from '../support/find-servers';
import type { Finding } from '../support/servers';
import { CONVERGES_WITHIN_MS, HISTORY, runCampaign } from './campaign';
import { check } from './checker/check';
import { total } from './checker/verdict';
import type { Verdict } from './checker/verdict';
import type { Remains } from './history';
import { readHistory } from './recorder';
import { renderTable } from './report/table';
import { createTimeline } from './report/timeline';

const HELP = `Usage: npm run chaos -- [--minutes M] [--seed S] [--folder F]

Runs four replicas of the service, a mongod, a NATS Streaming server and their peers as real processes, sells
tickets, and breaks things for so many minutes (5): kills, freezes, crash points, cut and silent connections, full
disks, wrong clocks, poison. Then waits until all has come to rest, and checks that every promise was kept.

The report is a table here, and a folder with the same table (table.txt), the history (history.jsonl), what was left in
the end (remains.v8), a picture of the timeline (timeline.html) and all logs. Ends with 0 if no promise was broken and,
from five minutes on, every rule was looked at and everything met that is to be met.

  --minutes M   how long things break
  --seed S      draws alike faults again: when they come, and what comes of them, is up to the machine too; one of its
                own is drawn and named otherwise
  --folder F    where the report goes (chaos-report/<seed>)
  --check F     runs nothing: checks once more what a campaign left in this folder
  --bug B       with a mistake planted, that has to be found: see test/chaos/service/bugs.ts
`;

const REMAINS = 'remains.v8';
/** From this length on, what was never met or never looked at fails the run. */
const MEETS_EVERYTHING_FROM_MINUTES = 5;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string' },
      folder: { type: 'string' },
      bug: { type: 'string' },
      check: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  if (values.check !== undefined) {
    const remains = deserialize(readFileSync(join(values.check, REMAINS))) as Remains;
    return total(report(values.check, remains, new Map(), []), 'violated') > 0 ? 1 : 0;
  }
  const minutes = numberOf('minutes', values.minutes);
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : numberOf('seed', values.seed);
  const folder = values.folder ?? join('chaos-report', String(seed));
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Whoever asks twice does not want to wait; what was started is killed on the way out.
      if (stopped.signal.aborted) process.exit(130);
      stopped.abort();
    });
  }

  say(`A campaign of ${minutes} minutes, seed ${seed}; its report goes to ${folder}/.`);
  const { hits, toBeMet, remains } = await runCampaign({
    minutes,
    seed,
    folder,
    mongod: pathOf(await findMongod()),
    natsStreamingServer: pathOf(findProgram('nats-streaming-server', 'NATS_STREAMING_SERVER')),
    ...(values.bug === undefined ? {} : { bug: values.bug }),
    stopped: stopped.signal,
    say,
  });

  writeFileSync(join(folder, REMAINS), serialize(remains));
  const verdict = report(folder, remains, hits, toBeMet);
  if (total(verdict, 'violated') > 0) return 1;
  const isShort = minutes < MEETS_EVERYTHING_FROM_MINUTES;
  const isWhole =
    toBeMet.every((what) => hits.has(what)) && verdict.results.every(({ checked }) => checked > 0);
  return isShort || isWhole ? 0 : 1;
}

/** Checks what a campaign left in its folder, and says what came of it, here and there. */
function report(
  folder: string,
  remains: Remains,
  hits: ReadonlyMap<string, number>,
  toBeMet: readonly string[],
): Verdict {
  const timeline = createTimeline();
  const history = passingBy(readHistory(join(folder, HISTORY)), timeline.add);
  const verdict = check(history, remains, { convergenceMs: CONVERGES_WITHIN_MS });
  const table = renderTable(verdict, hits, toBeMet);
  say(table);
  writeFileSync(join(folder, 'table.txt'), `${table}\n`);
  writeFileSync(join(folder, 'timeline.html'), timeline.html(verdict));
  return verdict;
}

/** A long history is read once, for all who look at it. */
function* passingBy<T>(lines: Iterable<T>, look: (line: T) => void): Iterable<T> {
  for (const line of lines) {
    look(line);
    yield line;
  }
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number) && number >= 0) return number;
  throw new Error(`--${name} must be a number, not ${JSON.stringify(text)}`);
}

function pathOf(finding: Finding): string {
  if ('missing' in finding) throw new Error(finding.missing);
  return finding.path;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(
      `The campaign could not be carried out: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
    process.exit(2);
  },
);

/** `npm run bench -- --help` */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onAskedToStop } from '../support/asked-to-stop';
import { messageOf, say } from '../support/command';
import { compare, readBaseline, renderComparison } from './baseline';
import { circumstances, findServers } from './circumstances';
import { parseOptions, type Options } from './options';
import { createProcesses, type Processes } from './processes';
import { drawPicture } from './picture';
import { renderTable, type Circumstances, type Row } from './report';
import { SCENARIOS } from './scenarios';
import type { Bench } from './scenarios/scenario';
import { startServers } from './servers';

const NAMES = SCENARIOS.map(({ name }) => name);
const USAGE = `usage: npm run bench -- [--scenario NAME[,NAME]] [--rounds N] [--seconds S] [--orders N] [--scale F]
                        [--usual] [--url URL …] [--baseline FILE] [--out DIR]

Measures the built service with a real mongod and a real NATS Streaming server, in turns with others on the same servers:
the floor (a bare handler with one durable write) and the usual form of this service. Machines differ, so what counts is
the ratio.

  --scenario NAMES     some of: ${NAMES.join(', ').replace(/(.{60,80}), /g, '$1,\n                       ')}
  --rounds N           how often each contender is measured (3)
  --seconds S          how long each is loaded in a round (5)
  --orders N           how many orders the largest database holds (1000000)
  --scale F            multiplies all other counts and waits: 0.01 is enough to try the bench itself (1)
  --usual              the usual service takes part in all scenarios over HTTP
  --url URL            so does another service, whose orders are at this URL:
    --command COMMAND  starts it, with PORT, MONGO_URL, MONGO_URI, NATS_URL, NATS_CLUSTER_ID, NATS_CLIENT_ID and JWT_KEY
    --token TOKEN      signs in there; with --command the bench can sign its own
    --ticket-subject S where tickets are announced to it (ticket:created)
    --nats URL         its broker, where it is not one that the bench starts
  --baseline FILE      the results.json of an earlier run: tells which figure became a fifth worse
  --out DIR            where results.json and results.svg go (bench-report)
  --help               this

Ends with 0; with 1 where a figure became a fifth worse than the baseline's, or a scenario failed; with 2 for wrong options
or missing servers; with 130 when interrupted.
`;
const INTERRUPTED = 130;

async function main(): Promise<number> {
  let options: Options | 'help';
  let baseline: readonly Row[] | undefined;
  try {
    options = parseOptions(process.argv.slice(2), NAMES);
    if (options !== 'help' && options.baseline !== undefined) baseline = readBaseline(options.baseline);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${USAGE}`);
    return 2;
  }
  if (options === 'help') {
    say(USAGE);
    return 0;
  }
  const programs = await findServers();
  let processes = createProcesses();
  process.on('exit', () => processes.killAll());
  let interrupted = false;
  onAskedToStop((again) => {
    if (again) process.exit(INTERRUPTED);
    interrupted = true;
    say('Stopping. Once more ends it at once.');
    void processes.stopAll().then(() => process.exit(INTERRUPTED));
  });

  const rows: Row[] = [];
  const failed: string[] = [];
  for (const name of options.scenarios) {
    processes = createProcesses();
    try {
      rows.push(...(await runScenario(name, options, processes)));
    } catch (error) {
      failed.push(name);
      if (!interrupted) process.stderr.write(`${name} failed: ${messageOf(error)}\n`);
    }
    // Whatever failed now was stopped on purpose, and the end of the process is under way.
    if (interrupted) return new Promise(() => {});
    await processes.stopAll();
  }

  const about = circumstances(programs, options);
  writeReport(options.folder, rows, about);
  say(`\n${renderTable(rows, about)}\n\nAlso in ${options.folder}/: results.json, results.svg`);
  if (failed.length > 0) say(`Failed: ${failed.join(', ')}`);
  const comparisons = baseline ? compare(rows, baseline) : [];
  if (options.baseline !== undefined) say(renderComparison(comparisons, options.baseline));
  return failed.length > 0 || comparisons.some(({ isWorse }) => isWorse) ? 1 : 0;
}

function writeReport(folder: string, rows: readonly Row[], about: Circumstances): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify({ about, rows }, undefined, 2)}\n`);
  writeFileSync(join(folder, 'results.svg'), drawPicture(rows, about));
}

async function runScenario(name: string, options: Options, processes: Processes): Promise<Row[]> {
  say(`${name}:`);
  const bench: Bench = {
    options,
    servers: await startServers(processes),
    processes,
    scaled: (count) => Math.max(1, Math.round(count * options.scale)),
    say,
  };
  return SCENARIOS.find((scenario) => scenario.name === name)!.run(bench);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`The bench could not be carried out: ${messageOf(error)}\n`);
    process.exit(2);
  },
);

/** `npm run simulate -- --help` */
import { parseArgs } from 'node:util';
import { messageOf } from '../support/command';
import { wholeNumber } from '../support/whole-number';
import { TO_BE_MET, unmet, type Totals } from './coverage';
import { RATES } from './run';
import { simulateSeeds, type SeedOutcome } from './seeds';

/** With fewer seeds than this, not meeting something says nothing. */
const ENOUGH_SEEDS = 1_000;
const INTERRUPTED = 130;

const USAGE = `usage: npm run simulate -- [--seeds N] [--seed S] [--processes P]

  --seeds N      how many seeds: ${ENOUGH_SEEDS} by default, or the one that --seed names
  --seed S       the first of them: 1 by default
  --processes P  among how many processes they are shared: one per core by default
  --help         this

The first seed that breaks a promise is printed with its trace, others with what they break. The table at the end tells
how often everything that a run has to meet was met, at which rates faults are drawn, and how often each promise was
checked.

Ends with 0; with 1 where a promise was broken or where, from ${ENOUGH_SEEDS} seeds on, anything in the table was met 0 times; with
2 for wrong arguments; with ${INTERRUPTED} when interrupted, after the table of what was met until then.
`;

type Asked = 'help' | { first: number; count: number; processes?: number };

/** Throws what is wrong with the arguments. */
function parse(): Asked {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { seeds: text, seed: text, processes: text, help: { type: 'boolean' } },
  });
  if (values.help) return 'help';
  // One seed alone is one to look at.
  const count = wholeNumber(
    'seeds',
    values.seeds ?? (values.seed === undefined ? String(ENOUGH_SEEDS) : '1'),
    1,
  );
  const first = wholeNumber('seed', values.seed ?? '1', 0);
  return values.processes === undefined
    ? { first, count }
    : { first, count, processes: wholeNumber('processes', values.processes, 1) };
}

async function main(): Promise<number> {
  let asked: Asked;
  try {
    asked = parse();
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${USAGE}`);
    return 2;
  }
  if (asked === 'help') {
    print([USAGE]);
    return 0;
  }
  const { first, count } = asked;
  const interruption = new AbortController();
  process.on('SIGINT', () => interruption.abort());

  let seeds = 0;
  let steps = 0;
  const failed: number[] = [];
  const totals = await simulateSeeds(asked, {
    ...asked,
    interrupted: interruption.signal,
    onOutcome(outcome) {
      seeds += 1;
      steps += outcome.steps;
      if (outcome.failure) failed.push(outcome.seed);
      // The first one whole, for the others are often the same.
      if (outcome.failure) tellFailure(outcome, failed.length === 1);
      else if (count === 1)
        print([`seed ${outcome.seed}: ${outcome.steps} steps, no violation, trace ${outcome.hash}`]);
      if (count > 1 && seeds % 1_000 === 0) print([`${seeds} of ${count} seeds`]);
    },
  });
  const missing = count >= ENOUGH_SEEDS && seeds === count ? unmet(totals) : [];
  tellTotals(totals);
  print([
    `${seeds} seeds from ${first}, ${steps} steps, ${failed.length} with a violation${failed.length > 0 ? `: ${failed.slice(0, 20).join(', ')}` : ''}`,
    ...missing.map((what) => `never met: ${what}`),
  ]);
  if (failed.length > 0 || missing.length > 0) return 1;
  return seeds < count ? INTERRUPTED : 0;
}

function tellFailure({ seed, hash, failure }: SeedOutcome, whole: boolean): void {
  if (whole) print(failure!.trace);
  print([
    `seed ${seed}: ${failure!.message}`,
    `  again: npm run simulate -- --seed ${seed}   (trace ${hash})`,
  ]);
}

function tellTotals({ hits, checked }: Totals): void {
  const row = ([what, count]: readonly [string, number]) =>
    `  ${what.padEnd(58)} ${String(count).padStart(10)}`;
  const others = [...hits].filter(([what]) => !(TO_BE_MET as readonly string[]).includes(what)).sort();
  print([
    'Rates at which faults are drawn, per request, publish, delivery or point:',
    ...Object.entries(RATES).map(([what, rate]) => row([what, Number(rate.toFixed(4))])),
    'Met:',
    ...TO_BE_MET.map((what) => row([what, hits.get(what) ?? 0])),
    'Besides:',
    ...others.map(row),
    'Checked:',
    ...[...checked].sort().map(row),
  ]);
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}

// Whoever reads the first lines only has closed the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

void main().then((code) => {
  process.exitCode = code;
});

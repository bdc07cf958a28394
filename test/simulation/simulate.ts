/** `npm run simulate -- --seeds N [--seed S]`: N simulations from seed S on, and a table of what they met. */
import { parseArgs } from 'node:util';
import { add, createTotals, TO_BE_MET, unmet } from './coverage';
import type { Totals } from './coverage';
import { RATES, simulate } from './run';
import type { Outcome } from './run';

const USAGE = 'usage: npm run simulate -- [--seeds N] [--seed S]';
/** With fewer seeds than this, not meeting something says nothing. */
const ENOUGH_SEEDS = 1_000;

function parse(): { first: number; count: number } | undefined {
  try {
    const { values } = parseArgs({ options: { seeds: { type: 'string' }, seed: { type: 'string' } } });
    // One seed alone is one to look at.
    const [count, first] = [values.seeds ?? (values.seed ? '1' : '1000'), values.seed ?? '1'].map(Number);
    const isValid = [count, first].every((n) => Number.isSafeInteger(n) && n! >= 0) && count! > 0;
    return isValid ? { first: first!, count: count! } : undefined;
  } catch {
    return undefined;
  }
}

async function main(): Promise<number> {
  const asked = parse();
  if (!asked) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const { first, count } = asked;
  const totals = createTotals();
  let steps = 0;
  const failed: number[] = [];
  for (let seed = first; seed < first + count; seed += 1) {
    const outcome = await simulate(seed);
    steps += outcome.steps;
    add(totals.hits, outcome.hits);
    add(totals.checked, outcome.checked);
    if (outcome.failure) failed.push(seed);
    // The first one whole, for the others are often the same.
    if (outcome.failure) tellFailure(outcome, failed.length === 1);
    else if (count === 1)
      print([`seed ${seed}: ${outcome.steps} steps, no violation, trace ${outcome.hash}`]);
    if (count > 1 && (seed - first + 1) % 1_000 === 0) print([`${seed - first + 1} of ${count} seeds`]);
  }
  const missing = count >= ENOUGH_SEEDS ? unmet(totals) : [];
  tellTotals(totals);
  print([
    `${count} seeds from ${first}, ${steps} steps, ${failed.length} with a violation${failed.length > 0 ? `: ${failed.slice(0, 20).join(', ')}` : ''}`,
    ...missing.map((what) => `never met: ${what}`),
  ]);
  return failed.length > 0 || missing.length > 0 ? 1 : 0;
}

function tellFailure({ seed, hash, failure }: Outcome, whole: boolean): void {
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
    ...Object.entries(RATES).map(([name, rate]) => `  ${name.padEnd(58)} ${String(rate).padStart(10)}`),
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

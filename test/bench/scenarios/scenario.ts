import type { Contender, StartContender } from '../contenders';
import type { Options } from '../options';
import type { Processes } from '../processes';
import type { Row } from '../report';
import type { Servers } from '../servers';

/** One question that the bench answers, with servers of its own. */
export interface Scenario {
  readonly name: string;
  readonly run: (bench: Bench) => Promise<Row[]>;
}

/** What a scenario has to work with. What it starts is stopped when it ends. */
export interface Bench {
  readonly options: Options;
  readonly servers: Servers;
  readonly processes: Processes;
  /** A count or a duration, multiplied by `--scale`. */
  scaled(count: number): number;
  /** Reports progress; the table comes in the end. */
  say(text: string): void;
}

/** Starts them one after the other. */
export async function startAll(bench: Bench, starts: readonly StartContender[]): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const start of starts) contenders.push(await start(bench));
  return contenders;
}

/**
 * Measures all of them in turns, ABAB, and resolves to the figures of each, one per round. A round before the first lets
 * them warm up and counts for nothing.
 */
export async function inTurns<T extends { readonly name: string }>(
  bench: Bench,
  of: readonly T[],
  measure: (one: T) => Promise<number>,
  warmUp: (one: T) => Promise<unknown> = measure,
): Promise<Map<string, number[]>> {
  for (const one of of) await warmUp(one);
  const figures = new Map(of.map(({ name }) => [name, [] as number[]]));
  for (let round = 1; round <= bench.options.rounds; round += 1) {
    for (const one of of) {
      const figure = await measure(one);
      figures.get(one.name)!.push(figure);
      bench.say(`  round ${round}, ${one.name}: ${figure.toPrecision(4)}`);
    }
  }
  return figures;
}

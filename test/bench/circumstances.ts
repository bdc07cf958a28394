import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { findMongod, findProgram } from '../support/find-servers';
import { FINDINGS_VARIABLE, pathOf } from '../support/servers';
import type { Options } from './options';
import type { Circumstances } from './report';
import { cacheGigabytes } from './servers';

/** Finds both servers and tells the modules of the tests that start them. Throws what is missing. */
export async function findServers(): Promise<{ mongod: string; broker: string }> {
  const mongod = await findMongod();
  const broker = findProgram('nats-streaming-server', 'NATS_STREAMING_SERVER');
  process.env[FINDINGS_VARIABLE] = JSON.stringify({ mongod, 'nats-streaming-server': broker });
  return { mongod: pathOf(mongod), broker: pathOf(broker) };
}

/** What the figures were taken with. */
export function circumstances(
  { mongod, broker }: { mongod: string; broker: string },
  { rounds, seconds, orders, scale }: Options,
): Circumstances {
  const [cpu] = cpus();
  return {
    date: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    machine: `${cpu?.model ?? 'unknown'}, ${cpus().length} cores`,
    mongod: `${firstLines(mongod, ['--version'], 2)}, a cache of ${cacheGigabytes()} GB`,
    broker: `${firstLines(broker, ['--version'], 1)}, file store, synced`,
    options: `${rounds} rounds of ${seconds} s, ${orders} orders in the largest database, scale ${scale}`,
    ours: 'NODE_ENV=production LOG_LEVEL=info (the default) RATE_LIMIT_PER_MINUTE=0, log to a file; the others log nothing',
    databases: 'one database of the same mongod for each contender: bench_ours, bench_floor, bench_usual, …',
    'events out': "ends when the database has none pending; times are the broker's, of its stored messages",
    ratio: 'ours / theirs, the median of the ratios of each round',
  };
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    return `${git('rev-parse', '--short=10', 'HEAD')}${git('status', '--porcelain') ? ', with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

function firstLines(program: string, args: readonly string[], count: number): string {
  return execFileSync(program, args, { encoding: 'utf8' }).trim().split('\n').slice(0, count).join(', ');
}

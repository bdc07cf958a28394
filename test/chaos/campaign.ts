import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createChance } from '../support/chance';
import { eventually } from '../support/eventually';
import { createClient } from './client';
import { createFaults, type Broken } from './faults';
import { TO_BE_MET } from './coverage';
import type { Remains } from './history';
import { startLoad } from './load';
import { GRACE_SECONDS, REPLICAS, startMarketplace, WINDOW_SECONDS, type Marketplace } from './marketplace';
import { startMonitor } from './monitor';
import { createRecorder } from './recorder';
import { readRemains } from './remains';
import { isNotReady, messagesSoFar, whatIsMissing } from './rest';

/** In the folder of the report, besides the logs. */
export const HISTORY = 'history.jsonl';
export const REMAINS = 'remains.v8';
export const TABLE = 'table.txt';
const REPORT = [HISTORY, REMAINS, TABLE];

/** The longest that the marketplace may take to come to rest once nothing disturbs it any more. */
export const CONVERGES_WITHIN_MS = 90_000;
/** Late payments are late by a window, second ones by two seconds, copies by one and a half. */
const PEERS_ARE_QUIET_AFTER_MS = WINDOW_SECONDS * 2_000 + 4_000;
const READY_WITHIN_MS = 60_000;
const WARM_UP_MS = 3_000;
const DISK_MEGABYTES = { least: 512, perMinute: 16 };

export interface Campaign {
  readonly hits: ReadonlyMap<string, number>;
  /** What a run of some length is to meet. */
  readonly toBeMet: readonly string[];
  readonly remains: Remains;
}

/**
 * A campaign from beginning to end: everything is started, loaded, broken for so many minutes, left alone until it has
 * come to rest, and read out. Rejects when it could not be carried out; what it found is for the checker to say.
 */
export async function runCampaign(options: {
  minutes: number;
  seed: number;
  folder: string;
  mongod: string;
  natsStreamingServer: string;
  bug?: string;
  /** Ends the faults early, and all goes on from there. */
  stopped: AbortSignal;
  say: (text: string) => void;
}): Promise<Campaign> {
  const { minutes, seed, folder, stopped, say } = options;
  mkdirSync(folder, { recursive: true });
  forgetEarlier(folder);
  const recorder = createRecorder(join(folder, HISTORY));
  recorder.record({
    kind: 'start',
    wallMs: Date.now(),
    seed,
    minutes,
    windowSeconds: WINDOW_SECONDS,
    graceSeconds: GRACE_SECONDS,
    replicas: REPLICAS,
  });
  const chance = createChance(seed);
  const broken: Broken = new Set();
  let ending = false;

  const marketplace = await startMarketplace({
    ...options,
    recorder,
    diskMegabytes: DISK_MEGABYTES.least + Math.ceil(minutes * DISK_MEGABYTES.perMinute),
    isExpected: (name) => ending || broken.has(name),
  });
  try {
    await ready(marketplace);
    const client = createClient(recorder);
    const load = startLoad(marketplace, client, chance.fork());
    const monitor = startMonitor({ marketplace, recorder, ticketsOnSale: load.ticketsOnSale });
    await sleep(WARM_UP_MS);

    say('Everything is up and selling. From now on things break ...');
    const faults = createFaults({ marketplace, recorder, chance: chance.fork(), broken });
    await faults.run(minutes * 60_000, stopped);

    say('The faults are over. Waiting for everything to come to rest ...');
    recorder.record({ kind: 'faults over' });
    marketplace.endPoison();
    await load.stop();
    const missing = await comesToRest(marketplace);
    recorder.record({ kind: 'end', converged: missing === undefined, ...(missing ? { missing } : {}) });
    await monitor.stop();
    client.close();

    say('Reading what is left ...');
    const remains = await readRemains(marketplace.mongoUrl, marketplace.natsUrl);
    return { hits: recorder.hits, toBeMet: [...faults.toBeMet, ...TO_BE_MET], remains };
  } finally {
    ending = true;
    await marketplace.stop();
    await recorder.close();
  }
}

/** What an earlier campaign left in the folder would pass for what this one found. */
function forgetEarlier(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (REPORT.includes(name) || name.endsWith('.log')) rmSync(join(folder, name));
  }
}

async function ready({ replicas }: Marketplace): Promise<void> {
  for (const replica of replicas) {
    await eventually(async () => {
      const missing = await isNotReady(replica);
      if (missing !== undefined) throw new Error(missing);
    }, READY_WITHIN_MS);
  }
}

/** Undefined once it has; else what is missing when the time is up. */
async function comesToRest(marketplace: Marketplace): Promise<string | undefined> {
  const until = performance.now() + CONVERGES_WITHIN_MS;
  for (;;) {
    const missing = await staysWhole(marketplace).catch((error: unknown) => String(error));
    if (missing === undefined || performance.now() > until) return missing;
    await sleep(500);
  }
}

/** Undefined where nothing is missing, and nobody says anything more for as long as a peer may take to. */
async function staysWhole(marketplace: Marketplace): Promise<string | undefined> {
  const missing = await whatIsMissing(marketplace);
  if (missing !== undefined) return missing;
  const before = await messagesSoFar(marketplace);
  await sleep(PEERS_ARE_QUIET_AFTER_MS);
  const more = (await messagesSoFar(marketplace)) - before;
  return more > 0 ? `${more} messages came meanwhile` : whatIsMissing(marketplace);
}

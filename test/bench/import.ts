/**
 * Measures `order-service import`: generates the database of an earlier system on the server of `MONGO_URL`, and imports it
 * twice. Run it with `MONGO_URL=mongodb://127.0.0.1:27017 node --import tsx test/bench/import.ts 1000000`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mongo } from 'mongoose';

const { ObjectId } = mongo;
const INSERTED_AT_ONCE = 5_000;
const LOOK_EVERY_MS = 200;

const server = process.env['MONGO_URL'] ?? 'mongodb://127.0.0.1:27017';
const count = Number(process.argv[2] ?? 1_000_000);
const urlOf = (name: string) => Object.assign(new URL(server), { pathname: `/${name}` }).href;
const [old, target] = [urlOf('import-bench-old'), urlOf('import-bench-new')];

/** Six tickets for ten orders: each is held or free, and four of ten orders were cancelled before. */
function orderAt(nth: number, tickets: readonly mongo.ObjectId[]) {
  const second = Math.floor(Date.now() / 1000) - 30 * 24 * 3600 + Math.floor(nth / 10);
  const status = nth < tickets.length ? ['complete', 'cancelled', 'created'][nth % 3] : 'cancelled';
  return {
    _id: new ObjectId(second.toString(16) + nth.toString(16).padStart(16, '0')),
    userId: new ObjectId().toHexString(),
    status,
    expiresAt: new Date((second + 900) * 1000),
    // Spread over all tickets, so that no order of reading helps.
    ticket: tickets[(nth * 48_271) % tickets.length],
    version: status === 'created' ? 0 : 1,
  };
}

async function generate(): Promise<void> {
  const client = await mongo.MongoClient.connect(server);
  await Promise.all([old, target].map((url) => client.db(new URL(url).pathname.slice(1)).dropDatabase()));
  const database = client.db(new URL(old).pathname.slice(1));
  const ids = Array.from({ length: Math.ceil(count * 0.6) }, () => new ObjectId());
  const insert = async (name: string, total: number, documentAt: (nth: number) => object) => {
    for (let first = 0; first < total; first += INSERTED_AT_ONCE) {
      const length = Math.min(INSERTED_AT_ONCE, total - first);
      const documents = Array.from({ length }, (_, index) => documentAt(first + index));
      await database.collection(name).insertMany(documents);
    }
  };
  const ticketAt = (nth: number) => ({ _id: ids[nth], title: `Concert ${nth}`, price: 20, version: 2 });
  await insert('tickets', ids.length, ticketAt);
  await insert('orders', count, (nth) => orderAt(nth, ids));
  await client.close();
}

/** Seconds and the largest resident set in MB. */
async function measure() {
  const program = [join(__dirname, '../../dist/bin/order-service.js'), 'import', '--rejected', '-'];
  const env = { PATH: process.env['PATH'], MONGO_URL: target, OLD_MONGO_URL: old };
  const startedAt = performance.now();
  const child = spawn(process.execPath, program, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  let peakMb = 0;
  const looking = setInterval(() => {
    const [, kb] = /VmHWM:\s+(\d+)/.exec(statusOf(child.pid)) ?? [];
    peakMb = Math.max(peakMb, Math.round(Number(kb ?? 0) / 1024));
  }, LOOK_EVERY_MS);
  const [code] = (await once(child, 'exit')) as [number];
  clearInterval(looking);
  return { code, seconds: Math.round((performance.now() - startedAt) / 1000), peakMb };
}

/** Empty where the system has no such file. */
function statusOf(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

async function run(): Promise<void> {
  await generate();
  const first = await measure();
  const second = await measure();
  process.stdout.write(`${JSON.stringify({ orders: count, first, second })}\n`);
}

void run();

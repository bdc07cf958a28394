import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startComposed, type ComposedService, type Order } from '../support/composed-service';
import { OPENAPI_FILE } from '../support/contract';
import { BASE_PATH, newId, tokenOf } from '../support/http-app';

const ROOT = join(__dirname, '../..');
const CACHE = join(ROOT, 'node_modules/.cache');
const run = promisify(execFile);

/** What client/orders.ts exports; only the compiler that runs in this test knows its types. */
interface Built {
  createOrders(baseUrl: string, token: string): Orders;
}

interface Orders {
  place(ticketId: string, price?: number): Promise<{ readonly type: string; readonly order?: Order }>;
  list(statuses: string[], limit?: number): Promise<Order[]>;
  show(orderId: string): Promise<Order | undefined>;
  changed(order: Order, wait: number): Promise<Order | undefined>;
  cancel(orderId: string): Promise<boolean>;
}

/** The client as a client team gets it: its types are generated from the document, then it is compiled. */
async function buildClient(folder: string): Promise<Built> {
  cpSync(join(__dirname, 'client'), folder, { recursive: true });
  const program = (path: string, ...args: string[]) =>
    run(process.execPath, [join(ROOT, 'node_modules', path), ...args], { cwd: folder });
  await program('openapi-typescript/bin/cli.js', OPENAPI_FILE, '--output', 'generated.ts');
  const options = ['--noEmitOnError', '--rootDir', '.', '--outDir', 'built', '--incremental', 'false'];
  await program('typescript/bin/tsc', '--project', '.', ...options).catch((error: { stdout: string }) => {
    throw new Error(error.stdout);
  });
  return (await import(join(folder, 'built/orders.js'))) as Built;
}

describe('a client with types from docs/openapi.yaml', () => {
  let service: ComposedService;
  let folder: string;
  let orders: Orders;

  beforeAll(async () => {
    mkdirSync(CACHE, { recursive: true });
    folder = mkdtempSync(join(CACHE, 'client-'));
    const { createOrders } = await buildClient(folder);
    service = await startComposed();
    orders = createOrders(service.url + BASE_PATH, tokenOf('ann'));
  }, 120_000);

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await service.stop();
  });

  async function place(ticketId: string, price?: number): Promise<Order> {
    const outcome = await orders.place(ticketId, price);
    if (!outcome.order) throw new Error(JSON.stringify(outcome));
    return outcome.order;
  }

  it('places, lists, shows and cancels an order', async () => {
    const order = await place(await service.sell(), 20);

    expect(await orders.list(['created', 'complete'])).toEqual([order]);
    expect(await orders.list(['cancelled'])).toEqual([]);
    expect(await orders.show(order.id)).toEqual(order);
    expect(await orders.cancel(order.id)).toBe(true);
    expect(await orders.show(order.id)).toMatchObject({ status: 'cancelled', reason: 'user' });
  });

  it('reads page after page, and waits for a change', async () => {
    const placed: Order[] = [];
    for (let i = 0; i < 3; i += 1) placed.unshift(await place(await service.sell()));
    const [order] = placed as [Order];

    expect((await orders.list(['created'], 1)).slice(0, 3)).toEqual(placed);
    expect(await orders.changed(order, 1)).toBeUndefined();
    const waiting = orders.changed(order, 30);
    await orders.cancel(order.id);
    expect(await waiting).toMatchObject({ id: order.id, status: 'cancelled' });
    expect(await orders.changed(order, 30)).toMatchObject({ version: 1 });
  });

  it('reads from a refusal what that type of problem has', async () => {
    const ticketId = await service.sell();
    expect(await orders.place(ticketId, 19)).toEqual({ type: 'price-changed', price: 20 });

    const order = await place(ticketId);
    expect(await orders.place(ticketId)).toEqual({ type: 'mine-already', orderId: order.id });
    await service.pay(order);

    expect(await orders.cancel(order.id)).toBe(false);
    expect(await orders.place(newId())).toEqual({ type: 'refused', code: 'unknown-ticket' });
    expect(await orders.show(newId())).toBeUndefined();
  });
});

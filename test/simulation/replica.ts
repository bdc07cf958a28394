import { createConnection, type Connection } from 'mongoose';
import type { MongoConnection } from '../../src/adapters/mongo/connection';
import { createDatabaseClock } from '../../src/adapters/mongo/database-clock';
import { createFailedMessages } from '../../src/adapters/mongo/failed-messages';
import { createModels, type Models } from '../../src/adapters/mongo/documents';
import { toUnavailable } from '../../src/adapters/mongo/errors';
import { createOrderStore } from '../../src/adapters/mongo/orders';
import { createOutbox } from '../../src/adapters/mongo/outbox';
import { createReadBarrier } from '../../src/adapters/mongo/read-barrier';
import { createTicketStore } from '../../src/adapters/mongo/tickets';
import type { Bus } from '../../src/application/bus';
import type { FailedMessages } from '../../src/application/failed-messages';
import {
  Unavailable,
  type Clock,
  type Log,
  type Metrics,
  type OrderStore,
  type Outbox,
  type TicketStore,
} from '../../src/application/ports';
import type { Config } from '../../src/config/load-config';
import { createCore, type Core } from '../../src/wiring/core';
import type { Broker, BrokerBus } from './broker';
import type { Database } from './database';
import type { Process, World } from './world';

/** Between the core and its stores and broker a planted bug is put. */
export interface Planted {
  bus?: (bus: BrokerBus) => Bus;
  orders?: (orders: OrderStore, bus: Bus) => OrderStore;
  outbox?: (outbox: Outbox) => Outbox;
  tickets?: (tickets: TicketStore) => TicketStore;
  failedMessages?: (failedMessages: FailedMessages) => FailedMessages;
  /** What the core hears of a database that comes and goes. */
  databaseChanged?: (tell: Core['databaseChanged']) => Core['databaseChanged'];
}

/** One life of a replica: from its start to its crash or its end. */
export interface Replica {
  readonly process: Process;
  readonly core: Core;
  /** As the load balancer sees it. */
  ready(): boolean;
  /** Ends it in order. */
  stop(): Promise<void>;
  crash(): void;
}

/** Shorter than in the service, so that less time has to pass; above the relay's acknowledgement timeout. */
export const LEASE_MS = 6_000;

const COLLECTIONS = { orders: 'orders', tickets: 'tickets', failedMessages: 'dead_letters' } as const;

type Driver = ReturnType<Database['driver']>;

/**
 * A place for one replica at a time. Mongoose's models are made once for each, for making them takes longer than a
 * whole simulation; whoever lives there uses them, and they use its drivers.
 */
export interface Slot {
  readonly models: Models;
  drivers: Record<string, Driver>;
}

const METHODS = [
  'find',
  'findOne',
  'findOneAndUpdate',
  'updateOne',
  'updateMany',
  'bulkWrite',
  'insertOne',
  'insertMany',
  'deleteOne',
] as const;

export function createSlot(): Slot {
  const slot: Slot = { models: createModels(createConnection()), drivers: {} };
  for (const [model, name] of Object.entries(COLLECTIONS) as [keyof typeof COLLECTIONS, string][]) {
    const collection = slot.models[model].collection as unknown as Record<string, unknown>;
    for (const method of METHODS) {
      collection[method] = (...args: unknown[]) =>
        (slot.drivers[name]![method] as (...args: unknown[]) => unknown)(...args);
    }
  }
  return slot;
}

export function startReplica(deps: {
  world: World;
  slot: Slot;
  database: Database;
  broker: Broker;
  /** Of this life: another one has another name. */
  name: string;
  expiration: Config['expiration'];
  maxOpenOrdersPerUser: number;
  metrics: Metrics;
  planted: Planted;
  newId: () => string;
  skew: number;
}): Replica {
  const { world, slot, database, broker, planted } = deps;
  const process = world.createProcess(deps.name);
  process.skew = deps.skew;
  slot.drivers = Object.fromEntries(
    [...Object.values(COLLECTIONS), 'read_barriers'].map((name) => [name, database.driver(process, name)]),
  );

  const ticking: Omit<Clock, 'now'> = {
    monotonic: world.elapsed,
    random: world.random,
    after: (ms, task) => world.at(process, ms, task),
  };
  const databaseClock = createDatabaseClock(ticking, () => database.askTime(process));
  const clock: Clock = { ...ticking, now: databaseClock.now };
  const connection = connect({
    world,
    database,
    process,
    verify: databaseClock.synchronise,
    onReadyChange: (ready) => databaseChanged(ready),
  });
  const leasing = { owner: deps.name, ms: LEASE_MS };
  const mongoose = { collection: (name: string) => slot.drivers[name] } as unknown as Connection;
  const confirmReads = createReadBarrier(mongoose, connection);
  const common = { clock, leasing, confirmReads, onRetry: deps.metrics.retried };
  const orders = createOrderStore(slot.models, connection, common);
  const outbox = createOutbox(slot.models, connection, common);
  const tickets = createTicketStore(slot.models, connection, confirmReads);
  const failedMessages = createFailedMessages(slot.models, connection, { now: clock.now, confirmReads });
  const brokerBus = broker.connect(process, () => deps.metrics.retried('broker_connection'));
  const bus = planted.bus?.(brokerBus) ?? brokerBus;

  const core = createCore({
    store: {
      orders: planted.orders?.(orders, bus) ?? orders,
      outbox: planted.outbox?.(outbox) ?? outbox,
      tickets: planted.tickets?.(tickets) ?? tickets,
      failedMessages: planted.failedMessages?.(failedMessages) ?? failedMessages,
      ready: connection.ready,
    },
    bus,
    clock,
    newId: deps.newId,
    metrics: deps.metrics,
    log: logTo(world, process),
    expiration: deps.expiration,
    maxOpenOrdersPerUser: deps.maxOpenOrdersPerUser,
  });

  const databaseChanged = planted.databaseChanged?.(core.databaseChanged) ?? core.databaseChanged;

  bus.start();
  core.relay.start();
  core.parkedMessages.start();
  core.expirySweep.start();
  core.subscribe();

  return {
    process,
    core,
    ready: () => process.alive && connection.ready(),
    async stop() {
      await core.stopReceiving();
      await core.expirySweep.stop();
      await core.parkedMessages.stop();
      await core.relay.stop();
      await bus.close();
      connection.close();
      process.alive = false;
    },
    crash() {
      world.trace(`${deps.name} crashes`);
      world.kill(process);
      connection.close();
      void bus.close();
    },
  };
}

/** What the real connection does, over a database that tells by itself when it comes and goes. */
function connect(deps: {
  world: World;
  database: Database;
  process: Process;
  verify: () => Promise<void>;
  onReadyChange: (ready: boolean) => void;
}): Pick<MongoConnection, 'ask' | 'ready'> & { close(): void } {
  const { world, database, process } = deps;
  let ready = false;
  let changes = 0;

  function lost(): void {
    world.at(process, world.between(1, 50), () => {
      changes += 1;
      ready = false;
      deps.onReadyChange(false);
    });
  }

  function found(): void {
    world.at(process, world.between(10, 60), () => {
      changes += 1;
      void verify();
    });
  }

  async function verify(): Promise<void> {
    const changesBefore = changes;
    try {
      await deps.verify();
      if (changes !== changesBefore) return;
      ready = true;
      deps.onReadyChange(true);
    } catch {
      if (changes === changesBefore) world.at(process, world.between(50, 300), () => void verify());
    }
  }

  const close = database.watch({ lost, found });
  if (database.alive()) found();

  return {
    ready: () => ready,
    async ask(operation) {
      if (!ready) throw new Unavailable('the database is not ready');
      const changesBefore = changes;
      let answer;
      try {
        answer = await operation();
      } catch (error) {
        throw toUnavailable(error);
      }
      if (changes !== changesBefore) throw new Unavailable('the database was lost meanwhile');
      return answer;
    },
    close,
  };
}

/** Into the trace, without what is not the same each time. */
function logTo(world: World, process: Process): Log {
  const write = (level: string) => (fields: object, text: string) => {
    const { err } = fields as { err?: Error };
    world.trace(`${process.name} ${level} ${text}${err ? `: ${err.message}` : ''}`);
    if (err && !/Unavailable|PublishFailed/.test(err.name))
      world.trace(String(err.stack).split('\n')[1] ?? '');
  };
  return { debug() {}, info() {}, warn: write('warn'), error: write('error') };
}

import { mongo } from 'mongoose';
import { applyUpdate, at, compare, copy, matches, type Document, type Filter, type Update } from './query';
import type { Process, World } from './world';

/** How often each fault is drawn, per request. */
export interface DatabaseFaults {
  /** The server says no before anything is done. */
  refused: number;
  /** What was asked is done, and the answer never comes. */
  answerLost: number;
  /** What was asked is done before the journal has it, and the server says that it does not know. */
  notAcknowledged: number;
  /** The answer takes longer than the client waits, and what was asked is done later still. */
  late: number;
}

export type RewriteUpdate = (update: Update, before: Document) => Update;

const UNIQUE: Record<string, readonly (readonly string[])[]> = {
  orders: [['_id'], ['ticket.id', 'turn'], ['idempotencyKey'], ['userId', 'openNumber', 'openTurn']],
};

const SOCKET_TIMEOUT_MS = 5_000;

/**
 * One mongod. Writes show at once and are journalled a moment later, all in one sequence: a crash takes back what the
 * journal does not have, though others may have read it. A write is acknowledged when it is journalled.
 */
export type Database = ReturnType<typeof createDatabase>;

export function createDatabase(
  world: World,
  options: {
    faults: () => DatabaseFaults;
    /** Indexes that are not unique after all, for a bug that is planted. */
    missingIndexes?: readonly string[];
    rewriteUpdate?: RewriteUpdate;
    /** What can be read has changed: by a write, or by a crash that took one back. */
    onChange: (name: string, document: Document) => void;
    /** No crash takes it back any more. */
    onDurable: (name: string, before: Document | undefined, after: Document) => void;
  },
) {
  let process = world.createProcess('mongod');
  /** In the order of the writes; what is not journalled yet can be taken back. */
  let unjournalled: Write[] = [];
  const collections = new Map<string, Documents>();
  const durable = new Map<string, Documents>();
  const watchers = new Set<{ lost: () => void; found: () => void }>();
  const waiting = new Set<(error: Error) => void>();

  const collection = (name: string) => named(collections, name);

  // --- one request --------------------------------------------------------------------------------------

  /** From the client's call to its answer, through everything that can go wrong in between. */
  function request<T>(client: Process, operation: string, writes: boolean, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const faults = options.faults();
      const server = process;
      let answered = false;
      let leave = world.during(client, `${operation} sent`);
      const answer = (ms: number, give: () => void) => {
        waiting.delete(lose);
        world.at(client, ms, () => {
          if (answered) return;
          answered = true;
          leave();
          cancelTimeout();
          give();
        });
      };
      const lose = (error: Error) => answer(world.between(1, 30), () => reject(error));
      const cancelTimeout = world.at(client, SOCKET_TIMEOUT_MS, () => {
        if (answered) return;
        answered = true;
        leave();
        reject(new mongo.MongoNetworkTimeoutError('the server did not answer in time'));
      });

      if (!server.alive) {
        answer(world.between(1, 5), () => reject(new mongo.MongoNetworkError('connection refused')));
        return;
      }
      waiting.add(lose);
      const isLate = world.chance(faults.late);
      const toServer = isLate ? world.between(SOCKET_TIMEOUT_MS, 9_000) : world.between(0.2, 3);
      if (isLate) world.hit(`fault: late ${writes ? 'write' : 'read'}`);
      world.at(server, toServer, () => {
        if (world.chance(faults.refused)) {
          world.hit('fault: refused');
          answer(1, () => reject(serverError('stepped down', 189)));
          return;
        }
        const writesBefore = unjournalled.length;
        let result: { value: T } | { error: Error };
        try {
          result = { value: run() };
        } catch (error) {
          result = { error: error as Error };
        }
        leave();
        if (!answered) leave = world.during(client, `${operation} done, not answered`);
        const respond = () => {
          if (world.chance(faults.answerLost)) {
            world.hit(`fault: answer lost of a ${writes ? 'write' : 'read'}`);
            world.trace(`mongod ${operation} answer lost`);
            answer(world.between(1, 30), () => reject(new mongo.MongoNetworkError('connection closed')));
            return;
          }
          answer(world.between(0.2, 3), () =>
            'value' in result ? resolve(result.value) : reject(result.error),
          );
        };
        const lastWrite = unjournalled.at(-1);
        if (!lastWrite || unjournalled.length === writesBefore) {
          respond();
          return;
        }
        if (world.chance(faults.notAcknowledged)) {
          world.hit('fault: write concern timed out');
          answer(1, () => reject(writeConcernError(operation)));
          return;
        }
        lastWrite.acknowledge = respond;
      });
    });
  }

  /** Without a document: it is deleted. */
  function write(name: string, key: string, document: Document | undefined): void {
    if (unjournalled.length === 0) world.at(process, world.between(1, 40), flush);
    unjournalled.push({ name, key, before: collection(name).get(key), acknowledge() {} });
    set(name, key, document);
  }

  function set(name: string, key: string, document: Document | undefined): void {
    const before = collection(name).get(key);
    if (document) collection(name).set(key, document);
    else collection(name).delete(key);
    options.onChange(name, (document ?? before)!);
  }

  function flush(): void {
    const journalled = unjournalled;
    unjournalled = [];
    for (const { name, key } of journalled) {
      const before = named(durable, name).get(key);
      const after = collection(name).get(key);
      if (!after) named(durable, name).delete(key);
      else named(durable, name).set(key, after);
      if (after && after !== before) options.onDurable(name, before, after);
    }
    for (const { acknowledge } of journalled) acknowledge();
  }

  // --- documents ----------------------------------------------------------------------------------------

  function insert(name: string, document: Document): void {
    const documents = collection(name);
    // A document without one of the fields is in no such index.
    const indexes = (UNIQUE[name] ?? [['_id']]).filter(
      (paths) =>
        !options.missingIndexes?.includes(paths.join()) &&
        paths.every((path) => at(document, path) !== undefined),
    );
    const violated = indexes.filter((paths) =>
      [...documents.values()].some((other) =>
        paths.every((path) => compare(at(other, path), at(document, path)) === 0),
      ),
    );
    if (violated.length > 0) {
      // Which of several it names is not defined.
      const named = world.pick(violated).join();
      world.hit(`E11000 on ${name} ${named}`);
      throw serverError(`E11000 duplicate key error index: ${named}`, 11000);
    }
    write(name, String(document._id), sent(document));
  }

  function matching(name: string, filter: Filter): Document[] {
    const id = filter['_id'];
    const isById = id !== undefined && (typeof id !== 'object' || id instanceof mongo.ObjectId);
    const candidates = isById
      ? [collection(name).get((id as { toString(): string }).toString())]
      : [...collection(name).values()];
    return candidates.filter((document) => document !== undefined && matches(document, filter)) as Document[];
  }

  function change(name: string, document: Document, update: Update): Document {
    const after = copy(document);
    applyUpdate(after, sent(options.rewriteUpdate?.(update, document) ?? update));
    write(name, String(document._id), after);
    return after;
  }

  function upsert(name: string, filter: Filter, update: Update): void {
    const document: Document = { ...filter } as Document;
    applyUpdate(document, sent(update));
    insert(name, document);
    // Two that upsert at once may both find nothing; then the second one is told of a duplicate.
    if (world.chance(0.3)) {
      world.hit(`E11000 of an upsert on ${name}`);
      throw serverError('E11000 duplicate key error', 11000);
    }
  }

  /** A collection as the driver shows it to one client. */
  function driver(client: Process, name: string) {
    const ask = <T>(operation: string, writes: boolean, run: () => T) =>
      request(client, `${operation} ${name}`, writes, run);
    const select = (filter: Filter, options: FindOptions = {}) => {
      const found = matching(name, filter).sort(bySort(options.sort));
      return found.slice(0, options.limit || undefined).map(copy);
    };
    return {
      find: (filter: Filter, options?: FindOptions) => ({
        toArray: () => ask('find', false, () => select(filter, options)),
      }),
      findOne: (filter: Filter, options?: FindOptions) =>
        ask('findOne', false, () => select(filter, options)[0] ?? null),
      findOneAndUpdate: (filter: Filter, update: Update, options: { returnDocument?: string } = {}) =>
        ask('findOneAndUpdate', true, () => {
          const [before] = matching(name, filter);
          if (!before) return null;
          const after = change(name, before, update);
          return copy(options.returnDocument === 'after' ? after : before);
        }),
      updateOne: (filter: Filter, update: Update, options: { upsert?: boolean } = {}) =>
        ask('updateOne', true, () => {
          const [before] = matching(name, filter);
          if (before) change(name, before, update);
          else if (options.upsert) upsert(name, filter, update);
          return updated(before ? 1 : 0);
        }),
      updateMany: (filter: Filter, update: Update) =>
        ask('updateMany', true, () => {
          const found = matching(name, filter);
          for (const document of found) change(name, document, update);
          return updated(found.length);
        }),
      bulkWrite: (operations: readonly { updateOne: { filter: Filter; update: Update } }[]) =>
        ask('bulkWrite', true, () => {
          let matchedCount = 0;
          for (const { updateOne } of operations) {
            const [before] = matching(name, updateOne.filter);
            if (!before) continue;
            change(name, before, updateOne.update);
            matchedCount += 1;
          }
          return { matchedCount };
        }),
      insertOne: (document: Document) => ask('insertOne', true, () => insert(name, document)),
      insertMany: (documents: readonly Document[]) =>
        ask('insertMany', true, () => insertAll(name, documents)).catch((error: unknown) => {
          throw error instanceof mongo.MongoNetworkError ? bulkError(error, 0) : error;
        }),
      deleteOne: (filter: Filter) =>
        ask('deleteOne', true, () => {
          const [document] = matching(name, filter);
          if (!document) return { deletedCount: 0 };
          write(name, String(document._id), undefined);
          return { deletedCount: 1 };
        }),
    };
  }

  function insertAll(name: string, documents: readonly Document[]) {
    const writeErrors: { index: number; code: number }[] = [];
    for (const [index, document] of documents.entries()) {
      try {
        insert(name, document);
      } catch {
        writeErrors.push({ index, code: 11000 });
      }
    }
    const insertedCount = documents.length - writeErrors.length;
    if (writeErrors.length > 0) {
      throw bulkError({ message: 'E11000 duplicate key', code: 11000, writeErrors }, insertedCount);
    }
    return { insertedCount };
  }

  // --- the process --------------------------------------------------------------------------------------

  return {
    driver,
    alive: () => process.alive,
    /** What anyone would read now. */
    documents: (name: string): readonly Document[] => [...collection(name).values()],
    /** What no crash takes back. */
    durable: (name: string, key: string): Document | undefined => named(durable, name).get(key),
    /** The server's clock, in one round trip. */
    askTime: (client: Process) => request(client, 'hello', false, world.now),
    watch(watcher: { lost: () => void; found: () => void }): () => void {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    crash(): void {
      if (!process.alive) return;
      world.hit('crash: mongod');
      world.trace(`mongod crashes, ${unjournalled.length} writes are not journalled`);
      if (unjournalled.length > 0) world.hit('crash: mongod, with writes that are not journalled');
      process.alive = false;
      for (const { name, key, before } of unjournalled.reverse()) set(name, key, before);
      unjournalled = [];
      for (const lose of [...waiting]) lose(new mongo.MongoNetworkError('connection closed'));
      for (const { lost } of watchers) lost();
    },
    restart(): void {
      if (process.alive) return;
      world.trace('mongod starts');
      process = world.createProcess('mongod');
      for (const { found } of watchers) found();
    },
    freeze(ms: number): void {
      world.hit('freeze: mongod');
      world.freeze(process, ms);
    },
  };
}

type Documents = Map<string, Document>;

function named(collections: Map<string, Documents>, name: string): Documents {
  const existing = collections.get(name);
  if (existing) return existing;
  const created: Documents = new Map();
  collections.set(name, created);
  return created;
}

interface Write {
  readonly name: string;
  readonly key: string;
  readonly before: Document | undefined;
  acknowledge: () => void;
}

interface FindOptions {
  sort?: Record<string, 1 | -1>;
  limit?: number;
}

function bySort(sort: FindOptions['sort'] = {}): (a: Document, b: Document) => number {
  return (a, b) => {
    for (const [path, direction] of Object.entries(sort)) {
      const order = compare(at(a, path), at(b, path));
      if (order !== 0) return order * direction;
    }
    return 0;
  };
}

/** What goes over the wire is nobody's any more. */
function sent<T extends object>(value: T): T {
  return mongo.BSON.deserialize(mongo.BSON.serialize(value)) as T;
}

function updated(matchedCount: number) {
  return { acknowledged: true, matchedCount, modifiedCount: matchedCount, upsertedCount: 0 };
}

function serverError(message: string, code: number): mongo.MongoServerError {
  return new mongo.MongoServerError({ message, code });
}

/** Bulk writes tell it in the result, others as an error of their own. */
function writeConcernError(operation: string): Error {
  if (!operation.startsWith('insertMany')) return serverError('waiting for replication timed out', 64);
  return bulkError({ message: 'waiting for replication timed out', code: 64 }, 0, { code: 64 });
}

function bulkError(cause: object, insertedCount: number, writeConcern?: object): mongo.MongoBulkWriteError {
  const result = { insertedCount, getWriteConcernError: () => writeConcern };
  return new mongo.MongoBulkWriteError(cause as never, result as never);
}

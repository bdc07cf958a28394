import { mongo } from 'mongoose';
import { insertEach } from '../../src/adapters/mongo/insert-each';

const DOCUMENTS = [{ n: 0 }, { n: 1 }, { n: 2 }];

interface Answer {
  insertedCount: number;
  writeErrors?: { index: number; code: number }[];
  writeConcernError?: object;
}

/** What the driver throws, made as the driver makes it. */
function bulkError({
  insertedCount,
  writeErrors = [],
  writeConcernError,
}: Answer): mongo.MongoBulkWriteError {
  const result = { insertedCount, getWriteConcernError: () => writeConcernError };
  return new mongo.MongoBulkWriteError(
    { message: 'refused', code: writeErrors[0]?.code ?? 0, writeErrors } as never,
    result as never,
  );
}

/** As the driver wraps an error of the connection: the same class, with no write errors. */
function brokenConnection(insertedCount: number): mongo.MongoBulkWriteError {
  const result = { insertedCount, getWriteConcernError: () => undefined };
  return new mongo.MongoBulkWriteError(new mongo.MongoNetworkError('connection closed'), result as never);
}

function collection(insert: () => Promise<unknown>): Parameters<typeof insertEach>[0] {
  return { insertMany: insert } as never;
}

/** What becomes of three documents where the driver throws this. */
function insertInto(error: Error) {
  return insertEach(
    collection(() => Promise.reject(error)),
    DOCUMENTS,
  );
}

describe('inserting a single document', () => {
  const one = (insertOne: () => Promise<unknown>) =>
    insertEach({ insertOne } as never, DOCUMENTS.slice(0, 1));
  const refused = (code: number) =>
    one(() => Promise.reject(new mongo.MongoServerError({ message: 'refused', code })));

  it('tells that it is inserted, or a duplicate', async () => {
    expect(await one(() => Promise.resolve({ insertedId: 0 }))).toEqual(['inserted']);
    expect(await refused(11000)).toEqual(['duplicate']);
  });

  it('takes any other answer, and one that is not durable, for none', async () => {
    await expect(refused(64)).rejects.toThrow('refused');
    const lost = new mongo.MongoNetworkError('connection closed');
    await expect(one(() => Promise.reject(lost))).rejects.toBe(lost);
  });
});

describe('inserting many documents in one write', () => {
  it('tells that all are inserted', async () => {
    const inserting = insertEach(
      collection(async () => ({ insertedCount: 3 })),
      DOCUMENTS,
    );

    expect(await inserting).toEqual(['inserted', 'inserted', 'inserted']);
  });

  it('tells the duplicates from those that are inserted', async () => {
    const answer = { insertedCount: 2, writeErrors: [{ index: 1, code: 11000 }] };

    expect(await insertInto(bulkError(answer))).toEqual(['inserted', 'duplicate', 'inserted']);
  });

  it('says unknown of a document that was refused for another reason', async () => {
    const writeErrors = [
      { index: 0, code: 11000 },
      { index: 2, code: 112 },
    ];

    expect(await insertInto(bulkError({ insertedCount: 1, writeErrors }))).toEqual([
      'duplicate',
      'inserted',
      'unknown',
    ]);
  });

  it.each([0, 3])('takes a lost connection for no answer, whatever it counts (%i)', async (count) => {
    const error = brokenConnection(count);
    expect(error.writeErrors).toEqual([]);

    await expect(insertInto(error)).rejects.toBe(error);
  });

  it.each<[string, Error]>([
    ['the driver', new mongo.MongoServerError({ message: 'E11000', code: 11000 })],
    ['a bulk write without write errors', bulkError({ insertedCount: 0 })],
    [
      'one that counts all as inserted',
      Object.assign(bulkError({ insertedCount: 3 }), { code: 11000, writeErrors: [] }),
    ],
  ])('takes a duplicate that names no document for no answer, told by %s', async (_, error) => {
    await expect(insertInto(error)).rejects.toBe(error);
  });

  it('takes a single write error, as the driver may give it, for what it is', async () => {
    const error = Object.assign(bulkError({ insertedCount: 2 }), { writeErrors: { index: 2, code: 11000 } });

    expect(await insertInto(error)).toEqual(['inserted', 'inserted', 'duplicate']);
  });

  it('takes what is not durable for no answer', async () => {
    const answer = {
      insertedCount: 2,
      writeErrors: [{ index: 1, code: 11000 }],
      writeConcernError: { code: 64 },
    };

    await expect(insertInto(bulkError(answer))).rejects.toThrow('refused');
  });

  it('takes an answer that does not speak of every document for none', async () => {
    await expect(
      insertInto(bulkError({ insertedCount: 1, writeErrors: [{ index: 1, code: 11000 }] })),
    ).rejects.toThrow('refused');
    expect(
      await insertEach(
        collection(async () => ({ insertedCount: 2 })),
        DOCUMENTS,
      ),
    ).toEqual(['unknown', 'unknown', 'unknown']);
  });
});

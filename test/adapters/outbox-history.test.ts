import { mongo } from 'mongoose';
import type { Models } from '../../src/adapters/mongo/documents';
import { createOutboxHistory } from '../../src/adapters/mongo/outbox-history';
import { Unavailable } from '../../src/application/ports';

describe('the history of the outbox', () => {
  it('reports a batch that timed out as unavailable', async () => {
    const timedOut = new mongo.MongoOperationTimeoutError('timed out');
    const { published } = createOutboxHistory(modelsThatFailWith(timedOut));

    const reading = published()[Symbol.asyncIterator]().next();

    await expect(reading).rejects.toThrow(Unavailable);
    await expect(reading).rejects.toMatchObject({ cause: timedOut });
  });
});

function modelsThatFailWith(error: Error): Models {
  const query = {
    sort: () => query,
    setOptions: () => query,
    lean: () => query,
    cursor: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }),
  };
  return { orders: { find: () => query } } as unknown as Models;
}

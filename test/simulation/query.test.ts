import { Query, update as updateByMingo } from 'mingo';
import { mongo } from 'mongoose';
import { applyUpdate, copy, matches, type Document, type Filter, type Update } from './query';

const ids = ['5f0000000000000000000001', '5f0000000000000000000002'].map((hex) => new mongo.ObjectId(hex));
const dates = [0, 1_000, 2_000].map((ms) => new Date(ms));

const documents: Document[] = [
  { _id: ids[0], status: 'created', turn: 0, retryAt: dates[1], publishing: { pending: 0, owner: null } },
  { _id: ids[1], status: 'cancelled', turn: 2, publishing: { pending: 1, owner: 'a' }, outbox: [{ seq: 0 }] },
  { _id: 'barrier', turn: 'two' },
];

const filters: Filter[] = [
  {},
  { _id: ids[0] },
  { _id: { $in: ids } },
  { _id: 'barrier' },
  { status: 'created', turn: 0 },
  { status: { $in: ['created', 'awaiting:payment'] } },
  { turn: { $lt: 2 } },
  { turn: { $gt: 0, $lte: 2 } },
  { turn: { $gte: 2 } },
  { retryAt: { $lte: dates[2] } },
  { retryAt: { $lt: dates[1] } },
  { retryAt: dates[1] },
  { 'publishing.pending': { $gt: 0 }, 'publishing.owner': 'a' },
  { 'publishing.owner': null },
  { $or: [{ _id: ids[1] }, { turn: 0 }] },
];

const updates: Update[] = [
  { $set: { status: 'complete', 'publishing.owner': 'b' } },
  { $set: { 'ticket.title': 'Concert' } },
  { $inc: { turn: 1, 'publishing.pending': -1, writes: 1 } },
  { $push: { outbox: { $each: [{ seq: 1 }, { seq: 2 }] } }, $inc: { 'publishing.pending': 2 } },
  { $unset: { retryAt: 1 } },
];

describe('the query language of the simulated database', () => {
  it.each(filters)('finds what a complete implementation finds: %j', (filter) => {
    const found = documents.map((document) => matches(document, filter));

    expect(found).toEqual(documents.map((document) => new Query(filter).test(document)));
  });

  it.each(updates)('changes what a complete implementation changes: %j', (update) => {
    const [ours, theirs] = [0, 1].map(() => documents.slice(0, 2).map(copy));
    for (const document of ours!) applyUpdate(document, update);
    for (const document of theirs!) updateByMingo(document, update as never);

    expect(ours).toEqual(theirs);
  });

  it('refuses what it does not know', () => {
    expect(() => matches(documents[0]!, { turn: { $mod: [2, 0] } })).toThrow('$mod');
    expect(() => applyUpdate(copy(documents[0]!), { $rename: { turn: 'round' } })).toThrow('$rename');
  });
});

import { mongo } from 'mongoose';
import { readOrder, type OrderDocument } from '../invariants/stored-order';
import { connectPeer } from '../support/nats-peer';
import { CHANNELS, type ChannelMessage, type StoredOrder, type Remains } from './history';

/** Everything that the database and the broker hold. */
export async function readRemains(mongoUrl: string, natsUrl: string): Promise<Remains> {
  const client = new mongo.MongoClient(mongoUrl);
  try {
    const db = client.db();
    return {
      orders: await readOrders(db),
      tickets: await readTickets(db),
      failedMessages: await readDeadLetters(db),
      channels: await readChannels(natsUrl),
    };
  } finally {
    await client.close();
  }
}

async function readOrders(db: mongo.Db): Promise<StoredOrder[]> {
  return (await db.collection<OrderDocument>('orders').find().toArray()).map(readOrder);
}

async function readTickets(db: mongo.Db): Promise<Remains['tickets']> {
  const tickets = await db.collection<{ version: number }>('tickets').find().toArray();
  return tickets.map(({ _id, version }) => ({ id: _id.toHexString(), version }));
}

async function readDeadLetters(db: mongo.Db): Promise<Remains['failedMessages']> {
  const failed = await db
    .collection<{ _id: string; data: string; retryAt?: Date }>('dead_letters')
    .find()
    .toArray();
  return failed.map(({ _id, data, retryAt }) => ({ id: _id, data, parked: retryAt !== undefined }));
}

async function readChannels(natsUrl: string): Promise<Remains['channels']> {
  const peer = await connectPeer(natsUrl);
  try {
    const channels = new Map<string, readonly ChannelMessage[]>();
    for (const subject of CHANNELS) {
      channels.set(subject, await peer.wholeChannel(subject));
    }
    return channels;
  } finally {
    await peer.close();
  }
}

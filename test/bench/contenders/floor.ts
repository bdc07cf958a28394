/**
 * The least that can place, list and show orders durably: Express and Mongoose, with no rule of the service: reads are lean,
 * inserts go to the driver. Reads
 * PORT, MONGO_URL and JWT_KEY; TICKET_READ=0 leaves out the read of the ticket; with NATS_URL it stores ticket events too.
 */
import { createSecretKey } from 'node:crypto';
import express, { type Request } from 'express';
import jwt from 'jsonwebtoken';
import { createConnection, mongo, Schema } from 'mongoose';
import type { Message } from 'node-nats-streaming';

const { ObjectId } = mongo;

const EXPIRATION_WINDOW_MS = 900_000;
const env = process.env as Record<'PORT' | 'MONGO_URL' | 'JWT_KEY', string> & NodeJS.ProcessEnv;

interface Ticket {
  _id: mongo.ObjectId;
  version: number;
  title: string;
  price: number;
}

interface Order {
  _id: mongo.ObjectId;
  version: number;
  userId: string;
  status: string;
  createdAt: Date;
  expiresAt: Date;
  ticket: { id: mongo.ObjectId; title: string; price: number };
}

async function main(): Promise<void> {
  // The write concern and the pool of the service.
  const options = { writeConcern: { w: 'majority', j: true }, maxPoolSize: 20 } as const;
  const connection = await createConnection(env.MONGO_URL, options).asPromise();
  const Orders = connection.model<Order>('Order', new Schema<Order>({}, { strict: false }), 'orders');
  const orders = connection.getClient().db().collection<Order>('orders');
  const tickets = connection.getClient().db().collection<Ticket>('tickets');
  await orders.createIndex({ userId: 1, createdAt: -1, _id: -1 });
  if (env['NATS_URL'] !== undefined)
    storeTickets(tickets, env['NATS_URL'], env['QUEUE_GROUP_NAME'] ?? 'floor');

  const key = createSecretKey(Buffer.from(env.JWT_KEY));
  const userOf = (req: Request): string => {
    const token = req.headers.authorization?.slice('Bearer '.length) ?? '';
    return (jwt.verify(token, key, { algorithms: ['HS256'] }) as { id: string }).id;
  };
  const findTicket = (id: mongo.ObjectId): Promise<Pick<Ticket, 'title' | 'price'> | null> =>
    env['TICKET_READ'] === '0'
      ? Promise.resolve({ title: 'A concert', price: 12.5 })
      : tickets.findOne({ _id: id });

  const app = express();
  app.get('/readyz', (_req, res) => void res.json({ status: 'ready' }));
  app.post('/api/v1/orders', express.json(), async (req, res) => {
    const userId = userOf(req);
    const id = ObjectId.createFromHexString((req.body as { ticketId: string }).ticketId);
    const ticket = await findTicket(id);
    if (!ticket) {
      res.status(404).end();
      return;
    }
    const createdAt = new Date();
    const order: Order = {
      _id: new ObjectId(),
      version: 0,
      userId,
      status: 'created',
      createdAt,
      expiresAt: new Date(createdAt.getTime() + EXPIRATION_WINDOW_MS),
      ticket: { id, title: ticket.title, price: ticket.price },
    };
    await orders.insertOne(order);
    res.status(201).json(toBody(order));
  });
  app.get('/api/v1/orders', async (req, res) => {
    const found = await Orders.find({ userId: userOf(req) })
      .sort({ createdAt: -1, _id: -1 })
      .limit(Number(req.query['limit']))
      .lean<Order[]>();
    res.json(found.map(toBody));
  });
  app.get('/api/v1/orders/:id', async (req, res) => {
    const userId = userOf(req);
    const order = await Orders.findById(req.params.id).lean<Order>();
    if (order?.userId === userId) res.json(toBody(order));
    else res.status(404).end();
  });
  app.listen(Number(env.PORT), '127.0.0.1');
}

function toBody({ _id, ...order }: Order): object {
  return { id: _id, ...order };
}

/** One durable upsert for each event, acknowledged after it. */
function storeTickets(tickets: mongo.Collection<Ticket>, url: string, group: string): void {
  // Loaded only here: a floor without events is smaller.
  const stan = require('node-nats-streaming') as typeof import('node-nats-streaming'); // eslint-disable-line @typescript-eslint/no-require-imports
  const client = stan.connect('ticketing', `${group}-client`, { url });
  client.on('connect', () => {
    for (const subject of ['ticket:created', 'ticket:updated']) {
      const options = client.subscriptionOptions().setDeliverAllAvailable().setManualAckMode(true);
      options.setDurableName(group).setAckWait(60_000);
      client.subscribe(subject, group, options).on('message', (message: Message) => void store(message));
    }
  });

  async function store(message: Message): Promise<void> {
    const { id, ...fields } = JSON.parse(message.getData() as string) as { id: string } & Omit<Ticket, '_id'>;
    await tickets.updateOne({ _id: ObjectId.createFromHexString(id) }, { $set: fields }, { upsert: true });
    message.ack();
  }
}

void main();

/**
 * The orders service in its common form: a check before the save, a publish before the answer, and one save for each event
 * that is heard. Reads PORT, MONGO_URL, JWT_KEY, NATS_URL, NATS_CLIENT_ID and QUEUE_GROUP_NAME.
 */
import express, { type Request } from 'express';
import jwt from 'jsonwebtoken';
import mongoose, { Schema, model } from 'mongoose';
import { versionOCCPlugin } from 'mongoose-update-if-current/lib/version-occ-plugin';
import stan, { type Message } from 'node-nats-streaming';

const EXPIRATION_WINDOW_MS = 900_000;
const env = process.env as Record<
  'PORT' | 'MONGO_URL' | 'JWT_KEY' | 'NATS_URL' | 'NATS_CLIENT_ID' | 'QUEUE_GROUP_NAME',
  string
>;

const ticketSchema = new Schema(
  { title: { type: String, required: true }, price: { type: Number, required: true, min: 0 } },
  { versionKey: 'version' },
);
ticketSchema.plugin(versionOCCPlugin as (schema: Schema) => void);
const Ticket = model('Ticket', ticketSchema);

const orderSchema = new Schema(
  {
    userId: { type: String, required: true },
    status: { type: String, required: true },
    expiresAt: Date,
    ticket: { type: Schema.Types.ObjectId, ref: 'Ticket' },
  },
  { versionKey: 'version' },
);
orderSchema.plugin(versionOCCPlugin as (schema: Schema) => void);
const Order = model('Order', orderSchema);

const client = stan.connect('ticketing', env.NATS_CLIENT_ID, { url: env.NATS_URL });

function publish(subject: string, data: object): Promise<void> {
  return new Promise((resolve, reject) => {
    client.publish(subject, JSON.stringify(data), (error) => (error ? reject(error) : resolve()));
  });
}

function listen(subject: string, receive: (data: Record<string, string>) => Promise<unknown>): void {
  const options = client.subscriptionOptions().setDeliverAllAvailable().setManualAckMode(true);
  options.setAckWait(5_000).setDurableName(env.QUEUE_GROUP_NAME);
  client.subscribe(subject, env.QUEUE_GROUP_NAME, options).on('message', (message: Message) => {
    receive(JSON.parse(message.getData() as string) as Record<string, string>).then(
      () => message.ack(),
      // Not acknowledged: it is delivered again.
      () => {},
    );
  });
}

function userOf(req: Request): string {
  const token = req.headers.authorization?.slice('Bearer '.length) ?? '';
  return (jwt.verify(token, env.JWT_KEY) as { id: string }).id;
}

async function main(): Promise<void> {
  await new Promise((resolve) => client.on('connect', resolve));
  listen('ticket:created', ({ id, title, price }) => new Ticket({ _id: id, title, price }).save());
  listen('ticket:updated', async ({ id, version, title, price }) => {
    const ticket = await Ticket.findOne({ _id: id, version: Number(version) - 1 });
    if (!ticket) throw new Error('Ticket not found');
    ticket.set({ title, price });
    return ticket.save();
  });
  await mongoose.connect(env.MONGO_URL);

  const app = express();
  app.get('/readyz', (_req, res) => void res.json({ status: 'ready' }));
  app.post('/api/v1/orders', express.json(), async (req, res) => {
    const userId = userOf(req);
    const ticket = await Ticket.findById((req.body as { ticketId: string }).ticketId);
    if (!ticket) {
      res.status(404).end();
      return;
    }
    const open = ['created', 'awaiting:payment', 'complete'];
    if (await Order.findOne({ ticket, status: { $in: open } })) {
      res.status(400).end();
      return;
    }
    const expiresAt = new Date(Date.now() + EXPIRATION_WINDOW_MS);
    const order = new Order({ userId, status: 'created', expiresAt, ticket });
    await order.save();
    await publish('order:created', {
      id: order.id as string,
      version: order.get('version') as number,
      status: order.status,
      userId,
      expiresAt: expiresAt.toISOString(),
      ticket: { id: ticket.id as string, price: ticket.price },
    });
    res.status(201).json(order);
  });
  app.get('/api/v1/orders', async (req, res) => {
    res.json(await Order.find({ userId: userOf(req) }).populate('ticket'));
  });
  app.get('/api/v1/orders/:id', async (req, res) => {
    const order = await Order.findById(req.params.id).populate('ticket');
    if (order?.userId === userOf(req)) res.json(order);
    else res.status(404).end();
  });
  app.listen(Number(env.PORT), '127.0.0.1');
}

void main();

/**
 * Another service of the marketplace, in a pod made from the service's own image. Each command is a process of its own,
 * run by `kubectl exec`, that prints its answer as JSON; without a command it only waits.
 *
 *   publish SUBJECT MESSAGES     MESSAGES is a JSON array
 *   history SUBJECT...           everything that was ever published there
 *   call REQUESTS                one after the other; [{ method, path, user or token, body, key }]
 *   token USER
 *   orders USER...               all orders of these users
 *   load                         places, shows and cancels orders until its standard input ends; prints a line for
 *                                each order that it placed and for each request that was no success
 */
const { Buffer } = require('node:buffer');
const { randomBytes, randomUUID } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const { createRequire } = require('node:module');
const process = require('node:process');
const { setInterval } = require('node:timers');
const { setTimeout: sleep } = require('node:timers/promises');

const requireOfService = createRequire('/app/');
const stan = requireOfService('node-nats-streaming');
const jwt = requireOfService('jsonwebtoken');

const { ORDERS_URL, NATS_URL, NATS_CLUSTER_ID, JWT_KEY } = process.env;

const commands = {
  async publish(subject, messages) {
    await withBroker((client) =>
      Promise.all(JSON.parse(messages).map((message) => publish(client, subject, message))),
    );
    return 'published';
  },

  history: (...subjects) =>
    withBroker(async (client) => {
      const heard = [];
      for (const subject of subjects) heard.push(...(await readChannel(client, subject)));
      return heard;
    }),

  async call(requests) {
    const answers = [];
    for (const request of JSON.parse(requests)) answers.push(await sendWhenRouted(request));
    return answers;
  },

  token: async (user) => tokenOf(user),

  async orders(...users) {
    const orders = [];
    for (const user of users) orders.push(...(await listOrders(user)));
    return orders;
  },

  load,
};

async function withBroker(use) {
  const client = stan.connect(NATS_CLUSTER_ID, `peer-${randomUUID()}`, { url: NATS_URL, reconnect: false });
  await once(client, 'connect');
  client.on('error', () => {});
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

function publish(client, subject, message) {
  return new Promise((resolve, reject) => {
    client.publish(subject, JSON.stringify(message), (error) => (error ? reject(error) : resolve()));
  });
}

/** Up to what is its last message now. */
async function readChannel(client, subject) {
  const last = await lastSequence(client, subject);
  const heard = [];
  if (last === undefined) return heard;
  const subscription = client.subscribe(subject, client.subscriptionOptions().setDeliverAllAvailable());
  await new Promise((resolve) => {
    subscription.on('message', (message) => {
      const at = message.getTimestampRaw();
      heard.push({ subject, sequence: message.getSequence(), at, text: String(message.getData()) });
      if (message.getSequence() >= last) resolve();
    });
  });
  return heard;
}

/** Undefined where the channel is empty. */
async function lastSequence(client, subject) {
  const options = client.subscriptionOptions().setStartWithLastReceived();
  const subscription = client.subscribe(subject, options);
  const message = once(subscription, 'message');
  await once(subscription, 'ready');
  // The broker sends it together with its consent.
  const [last] = (await Promise.race([message, sleep(2_000)])) ?? [];
  subscription.unsubscribe();
  return last?.getSequence();
}

function tokenOf(user) {
  return jwt.sign({ id: user, email: `${user}@example.com` }, JWT_KEY);
}

/** A pod that is ready is not at once where every node leads to. What was refused has not been sent. */
async function sendWhenRouted(request) {
  for (let left = 60; ; left -= 1) {
    try {
      return await send(request);
    } catch (error) {
      if (error.code !== 'ECONNREFUSED' || left === 0) throw error;
      await sleep(500);
    }
  }
}

/** Rejects where no whole answer came. */
function send({ method, path = '', user, token = tokenOf(user), body, key }, agent) {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body && { 'content-type': 'application/json' }),
      ...(key && { 'idempotency-key': key }),
    };
    const request = http.request(ORDERS_URL + path, { method, headers, agent, timeout: 20_000 });
    request.on('error', reject).on('timeout', () => request.destroy(new Error('timeout')));
    request.on('response', async (response) => {
      try {
        const text = Buffer.concat(await response.toArray()).toString();
        const { statusCode: status, headers } = response;
        resolve({ status, headers, body: text ? JSON.parse(text) : undefined });
      } catch (error) {
        reject(error);
      }
    });
    request.end(body && JSON.stringify(body));
  });
}

async function listOrders(user) {
  const orders = [];
  let query = '?limit=200';
  while (query) {
    const { status, headers, body } = await sendWhenRouted({ method: 'GET', path: query, user });
    if (status !== 200) throw new Error(`the list of orders was answered with ${status}`);
    orders.push(...body);
    query = /<[^>]*(\?[^>]*)>; rel="next"/.exec(headers.link ?? '')?.[1];
  }
  return orders;
}

/** Half of the clients keep their connection, half make a new one for each request; each has a ticket of its own. */
async function load() {
  const clients = ['kept', 'new'].flatMap((connection) =>
    Array.from({ length: 3 }, () => ({
      connection,
      agent: new http.Agent({ keepAlive: connection === 'kept', maxSockets: 1 }),
      user: `load-${randomUUID()}`,
      ticketId: randomBytes(12).toString('hex'),
      orders: [],
    })),
  );
  await withBroker((broker) =>
    Promise.all(
      clients.map(({ ticketId: id }) =>
        publish(broker, 'ticket:created', { id, version: 0, title: 'Load', price: 1, userId: 'seller' }),
      ),
    ),
  );

  let ended = false;
  process.stdin.on('end', () => (ended = true)).resume();
  await Promise.all(clients.map((client) => buyAndCancel(client, () => ended)));
  return { tickets: clients.map(({ user, ticketId, orders }) => ({ user, ticketId, orders })) };
}

/** Knows the outcome of all it began, when it ends. */
async function buyAndCancel(client, isEnded) {
  while (!isEnded()) {
    const placed = await insist(client, { method: 'POST', body: { ticketId: client.ticketId } });
    const order = { id: placed.id, cancelled: false };
    client.orders.push(order);
    print({ placed: order.id });
    if (isEnded()) return;
    await insist(client, { method: 'GET', path: `/${order.id}` });
    await insist(client, { method: 'DELETE', path: `/${order.id}` });
    order.cancelled = true;
  }
}

const SUCCESS = { POST: 201, GET: 200, DELETE: 204 };

/** Sends the request again, as the same request, until it succeeds. Whatever is no success is printed. */
async function insist(client, request) {
  const key = randomUUID();
  for (;;) {
    // Leaves the machine some room for pods that start.
    await sleep(50);
    const outcome = await send({ ...request, user: client.user, key }, client.agent).catch((error) => error);
    if (outcome.status === SUCCESS[request.method]) return outcome.body;
    // The news of the ticket takes a moment.
    if (outcome.status === 404 && client.orders.length === 0) continue;
    const what = outcome.status ?? outcome.code ?? outcome.message;
    print({ failed: `${request.method} on a ${client.connection} connection: ${what}` });
  }
}

function print(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function wait() {
  setInterval(() => {}, 1 << 30);
  process.on('SIGTERM', () => process.exit(0));
}

const [command, ...args] = process.argv.slice(2);
if (command === undefined) wait();
else commands[command](...args).then(print);

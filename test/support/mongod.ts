import { mongo } from 'mongoose';
import { startServer, type ServerProcess } from './server-process';
import { serverBinary } from './servers';

/** Resolves when it has taken its first write: one that is killed while it makes its files may never start again. */
export async function startMongod(more: readonly string[] = []): Promise<ServerProcess> {
  return startWith(more, async (client) => {
    const once = client.db('started').collection('once');
    await once.insertOne({}, { writeConcern: { w: 1, journal: true } });
  });
}

/** One that lets nobody in without this user and password. */
export async function startMongodWithUser(user: string, password: string): Promise<ServerProcess> {
  // As long as there is no user, whoever is on this machine may make one.
  return startWith(['--auth'], (client) =>
    client.db('admin').command({ createUser: user, pwd: password, roles: ['root'] }),
  );
}

/** A server for all tests of the file, and a client of it. `cleanUp`: what is done after each test, the last first. */
export function useMongod() {
  let server: ServerProcess;
  let client: mongo.MongoClient;
  const cleanUp: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await startMongod();
    client = await mongo.MongoClient.connect(server.url);
  });

  afterEach(async () => {
    for (const task of cleanUp.splice(0).reverse()) await task();
  });

  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });

  return { server: () => server, client: () => client, cleanUp };
}

async function startWith(
  more: readonly string[],
  first: (client: mongo.MongoClient) => Promise<unknown>,
): Promise<ServerProcess> {
  const server = await startServer({
    program: serverBinary('mongod'),
    args: (port, folder) => ['--port', String(port), '--dbpath', folder, '--bind_ip', '127.0.0.1', ...more],
    url: (port) => `mongodb://127.0.0.1:${port}/orders`,
  });
  const client = await mongo.MongoClient.connect(server.url);
  await first(client);
  await client.close();
  return server;
}

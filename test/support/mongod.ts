import { startServer } from './server-process';
import type { ServerProcess } from './server-process';
import { serverBinary } from './servers';

export function startMongod(): Promise<ServerProcess> {
  return startServer({
    program: serverBinary('mongod'),
    args: (port, folder) => ['--port', String(port), '--dbpath', folder, '--bind_ip', '127.0.0.1'],
    url: (port) => `mongodb://127.0.0.1:${port}/orders`,
  });
}

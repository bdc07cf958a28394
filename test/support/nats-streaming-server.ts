import { startServer, type ServerProcess } from './server-process';
import { serverBinary } from './servers';

/** With a file store, no silent limits, and heartbeats that notice a dead client soon. */
export function startNatsStreamingServer(
  more: readonly string[] = [],
  { clusterId = 'ticketing' } = {},
): Promise<ServerProcess> {
  return startServer({
    program: serverBinary('nats-streaming-server'),
    args: (port, folder) =>
      [
        ['--addr', '127.0.0.1', '--port', String(port), '--cluster_id', clusterId],
        ['--store', 'file', '--dir', folder],
        ['--max_channels', '0', '--max_msgs', '0', '--max_bytes', '0', '--max_age', '0'],
        ['--hb_interval', '1s', '--hb_timeout', '1s', '--hb_fail_count', '2'],
        more,
      ].flat(),
    url: (port) => `nats://127.0.0.1:${port}`,
    readyText: 'Streaming Server is ready',
  });
}

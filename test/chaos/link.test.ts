import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { eventually } from '../support/eventually';
import { startLink, type Link } from './link';

describe('a link', () => {
  let server: Server;
  let link: Link;
  /** What the server has heard, and answers with what it is told. */
  let heard: string;

  beforeEach(async () => {
    heard = '';
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        heard += String(data);
        socket.write(`heard ${String(data)}`);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    link = await startLink('client → server', (server.address() as AddressInfo).port);
  });

  afterEach(async () => {
    await link.close();
    server.close();
  });

  it('passes on what is said, in both directions', async () => {
    const client = await openClient();

    client.socket.write('a');

    await eventually(() => expect(client.heard()).toBe('heard a'));
  });

  it('ends all connections when it is cut, and takes new ones', async () => {
    const first = await openClient();
    const gone = once(first.socket, 'close');
    first.socket.write('a');
    await eventually(() => expect(heard).toBe('a'));

    link.cut();
    await gone;

    const second = await openClient();
    second.socket.write('b');
    await eventually(() => expect(second.heard()).toBe('heard b'));
  });

  it('delivers what it held back, also of a client that has given up', async () => {
    const patient = await openClient();
    const impatient = await openClient();
    impatient.socket.write('1');
    await eventually(() => expect(heard).toBe('1'));

    const end = link.blackHole();
    patient.socket.write('2');
    await openClient().then(({ socket }) => socket.write('3'));
    impatient.socket.end('4');
    await quiet();
    expect(heard).toBe('1');
    end();

    await eventually(() => expect([...heard].sort().join('')).toBe('1234'));
    await eventually(() => expect(patient.heard()).toContain('heard 2'));
  });

  it('keeps the order of what it delays', async () => {
    const client = await openClient();
    const end = link.delay(100);
    client.socket.write('1');
    await quiet();
    end();
    client.socket.write('2');

    await eventually(() => expect(heard).toBe('12'));
  });

  it('swallows one answer, after the server has acted on the question, and the connection with it', async () => {
    const client = await openClient();
    const gone = once(client.socket, 'close');

    link.swallowAnswer();
    client.socket.write('a');
    await gone;

    expect(heard).toBe('a');
    expect(client.heard()).toBe('');
  });

  async function openClient(): Promise<{ socket: Socket; heard: () => string }> {
    const socket = connect(link.port, '127.0.0.1');
    let text = '';
    socket.on('data', (data) => (text += String(data)));
    socket.on('error', () => {});
    await once(socket, 'connect');
    return { socket, heard: () => text };
  }

  const quiet = () => new Promise((resolve) => setTimeout(resolve, 50));
});

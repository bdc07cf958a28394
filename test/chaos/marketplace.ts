import { fork, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '../support/eventually';
import { connectPeer } from '../support/nats-peer';
import { freePort, listens } from '../support/server-process';
import { JWT_KEY } from '../support/service-process';
import { createChild, type Child } from './child';
import type { CrashPoint } from './crash-points';
import { createDisk, type Disk } from './disk';
import { startLink, type Link } from './link';
import { CHANNELS } from './history';
import type { PeerReport, PeerSettings } from './peers/peer';
import type { Recorder } from './recorder';
import type { VitalSigns } from './service/vitals';

export const WINDOW_SECONDS = 4;
export const GRACE_SECONDS = 3;
export const QUEUE_GROUP = 'order-service';
const ROOT = join(__dirname, '../..');
/** Ctrl-C is for the campaign alone: it ends the faults, and all else goes on until it has come to rest. */
const DETACHED = true;
const READY_WITHIN_MS = 30_000;
/** What no process of ours says when all is well, whatever is done to it. */
const COMPLAINT = /"level":"fatal"|unexpected|MaxListenersExceeded|UnhandledPromise|heap out of memory/;

/** The replica that is never ended, so that what grows in it can be seen. */
export const WITNESS = 'witness';
export const REPLICAS = ['a', 'b', 'c', WITNESS] as const;
export type ReplicaName = (typeof REPLICAS)[number];

export interface Replica {
  readonly name: ReplicaName;
  readonly child: Child;
  /** Where its clients find it: behind a link. */
  readonly url: string;
  /** Past the link, for the campaign itself. */
  readonly directUrl: string;
  readonly links: readonly Link[];
  /** Makes it crash the next time it comes to the point. */
  arm(point: CrashPoint): void;
  /** Undefined where it did not answer. */
  vitals(): Promise<VitalSigns | undefined>;
  /** How wrong its clock will be from its next start on. */
  setClockSkew(ms: number): void;
}

export type Marketplace = Awaited<ReturnType<typeof startMarketplace>>;

interface Options {
  folder: string;
  mongod: string;
  natsStreamingServer: string;
  seed: number;
  diskMegabytes: number;
  recorder: Recorder;
  /** Whether the campaign itself has just ended this process. */
  isExpected: (name: string) => boolean;
  bug?: string;
}

/** What has to be ended again, whatever has become of the rest. */
interface Started {
  readonly children: Child[];
  readonly links: Link[];
  readonly disks: Disk[];
}

/** Everything that a marketplace is made of, each part a process of its own, with links between them. */
export async function startMarketplace(options: Options) {
  const started: Started = { children: [], links: [], disks: [] };
  process.on('exit', () => {
    started.children.forEach((child) => child.process()?.kill('SIGKILL'));
    started.disks.forEach((disk) => disk.unmount());
  });
  try {
    return await startAll(options, started);
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

async function stopAll({ children, links, disks }: Started): Promise<void> {
  await Promise.all(children.map((child) => child.signal('SIGKILL')));
  await Promise.all(links.map((each) => each.close()));
  disks.forEach((disk) => disk.unmount());
}

async function startAll(options: Options, started: Started) {
  const { folder, recorder } = options;
  const { links } = started;
  const disks = { database: disk('database'), broker: disk('broker') };
  const ports = { mongod: await freePort(), nats: await freePort(), brokerReport: await freePort() };

  const database = serverChild(
    'database',
    options.mongod,
    () => ['--port', String(ports.mongod), '--dbpath', disks.database.folder, '--bind_ip', '127.0.0.1'],
    () => listens(ports.mongod),
  );
  const brokerReportUrl = `http://127.0.0.1:${ports.brokerReport}`;
  let truncateOnce = false;
  const broker = serverChild(
    'broker',
    options.natsStreamingServer,
    () => {
      const truncate = truncateOnce;
      truncateOnce = false;
      return [
        ...['--addr', '127.0.0.1', '--port', String(ports.nats), '--cluster_id', 'ticketing'],
        ...['--http_port', String(ports.brokerReport)],
        ...['--store', 'file', '--dir', disks.broker.folder, '--file_sync=true'],
        // Compaction frees space on a full disk, and what is written next stands behind a record that is half there.
        '--file_compact_enabled=false',
        ...['--max_channels', '0', '--max_msgs', '0', '--max_bytes', '0', '--max_age', '0'],
        ...['--hb_interval', '1s', '--hb_timeout', '1s', '--hb_fail_count', '2'],
        ...(truncate ? ['--file_truncate_bad_eof'] : []),
      ];
    },
    // It listens, and even reports, before it has read its channels.
    () => connectPeer(`nats://127.0.0.1:${ports.nats}`).then((peer) => peer.close()),
  );
  await Promise.all([database.start(), broker.start()]);
  await makeChannels(`nats://127.0.0.1:${ports.nats}`);

  const peersLink = await link('peers → broker', ports.nats);
  const peers = await Promise.all(['tickets', 'payments', 'expiration'].map(startPeer));
  const tickets = peers[0]!;
  const replicas = await Promise.all(REPLICAS.map(startReplica));

  function serverChild(
    name: string,
    program: string,
    args: () => readonly string[],
    whenReady: () => Promise<unknown>,
  ): Child {
    return child({
      name,
      spawn: () => spawn(program, args(), { detached: DETACHED, stdio: logTo(name) }),
      ready: () => eventually(whenReady, READY_WITHIN_MS),
      onExit: exitOf(name),
    });
  }

  function exitOf(
    target: string,
    mayEndSo: (code: number | null, signal: string | null) => boolean = () => true,
  ) {
    return (code: number | null, signal: string | null): void => {
      const expected = options.isExpected(target) && mayEndSo(code, signal);
      recorder.record({ kind: 'exit', target, code, signal, expected });
    };
  }

  function disk(name: string): Disk {
    const made = createDisk(join(folder, name), options.diskMegabytes);
    started.disks.push(made);
    return made;
  }

  /** Known from the first moment, so that it is ended whatever comes next. */
  function child(of: Parameters<typeof createChild>[0]): Child {
    const made = createChild(of);
    started.children.push(made);
    return made;
  }

  async function link(name: string, port: number): Promise<Link> {
    const made = await startLink(name, port);
    links.push(made);
    return made;
  }

  function logTo(name: string): ['ignore', number, number] {
    const file = openSync(join(folder, `${name}.log`), 'a');
    // The child has it by the time this runs.
    setImmediate(() => closeSync(file));
    return ['ignore', file, file];
  }

  async function startPeer(role: string, index: number): Promise<Child> {
    const settings: PeerSettings = {
      role,
      natsUrl: `nats://127.0.0.1:${peersLink.port}`,
      seed: options.seed + index + 1,
      windowSeconds: WINDOW_SECONDS,
    };
    const [, ...output] = logTo(role);
    const peer = child({
      name: role,
      spawn: () =>
        fork(join(__dirname, `peers/${role}.ts`), {
          execArgv: ['--import', 'tsx'],
          env: { PATH: process.env['PATH'], CHAOS_PEER: JSON.stringify(settings) },
          detached: DETACHED,
          stdio: ['ignore', ...output, 'ipc'],
        }).on('message', ({ hit }: Partial<PeerReport>) => hit && recorder.hit(hit)),
      ready: async () => {},
      onExit: exitOf(role),
    });
    await peer.start();
    return peer;
  }

  async function startReplica(name: ReplicaName): Promise<Replica> {
    const port = await freePort();
    const toDatabase = await link(`replica ${name} → database`, ports.mongod);
    const toBroker = await link(`replica ${name} → broker`, ports.nats);
    const fromClients = await link(`clients → replica ${name}`, port);
    const log = openSync(join(folder, `replica-${name}.log`), 'a');
    let skewMs = 0;

    const replica = child({
      name: `replica ${name}`,
      spawn: () =>
        fork(join(ROOT, 'dist.chaos/test/chaos/service/main.js'), {
          execArgv: ['--expose-gc'],
          env: {
            PATH: process.env['PATH'],
            NODE_ENV: 'test',
            HOST: '127.0.0.1',
            PORT: String(port),
            JWT_KEY,
            MONGO_URL: `mongodb://127.0.0.1:${toDatabase.port}/orders`,
            NATS_URL: `nats://127.0.0.1:${toBroker.port}`,
            QUEUE_GROUP_NAME: QUEUE_GROUP,
            NATS_CLIENT_ID: `order-service-${name}`,
            EXPIRATION_WINDOW_SECONDS: String(WINDOW_SECONDS),
            EXPIRATION_GRACE_SECONDS: String(GRACE_SECONDS),
            // The shortest that keep the rule between them: an hour is to hold many outages.
            REDELIVERY_WAIT_SECONDS: '1',
            CATCH_UP_SECONDS: '2',
            RATE_LIMIT_PER_MINUTE: '0',
            LOG_LEVEL: 'warn',
            LOG_FORMAT: 'json',
            CHAOS_CLOCK_SKEW_MS: String(skewMs),
            ...(options.bug === undefined ? {} : { CHAOS_BUG: options.bug }),
          },
          detached: DETACHED,
          stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        }),
      ready: async (service) => {
        follow(service);
        await eventually(() => listens(port), READY_WITHIN_MS);
      },
      onExit: exitOf(`replica ${name}`, isOrderlyOrKilled),
    });

    function follow(service: ChildProcess): void {
      // What Node itself has to say, of listeners, promises and memory, comes on the other one.
      for (const input of [service.stdout!, service.stderr!]) createInterface({ input }).on('line', take);
    }

    function take(line: string): void {
      if (line.startsWith('{"crashPoint"')) {
        recorder.hit(`crash point: ${(JSON.parse(line) as { crashPoint: string }).crashPoint}`);
        return;
      }
      if (COMPLAINT.test(line)) recorder.record({ kind: 'complaint', target: replica.name, text: line });
      writeSync(log, `${line}\n`);
    }

    await replica.start();
    return {
      name,
      child: replica,
      url: `http://127.0.0.1:${fromClients.port}`,
      directUrl: `http://127.0.0.1:${port}`,
      links: [toDatabase, toBroker, fromClients],
      arm: (point) => tell(replica, { arm: point }),
      vitals: async () => (await ask<{ vitals: VitalSigns }>(replica, { vitals: true }))?.vitals,
      setClockSkew: (ms) => void (skewMs = ms),
    };
  }

  return {
    database,
    broker,
    disks,
    replicas: replicas as readonly Replica[],
    links: links as readonly Link[],
    /** Past all links. */
    mongoUrl: `mongodb://127.0.0.1:${ports.mongod}/orders`,
    natsUrl: `nats://127.0.0.1:${ports.nats}`,
    /** Where the broker tells how far its channels are heard. */
    brokerReportUrl,
    brokerLog: join(folder, 'broker.log'),
    /**
     * With its next start the broker cuts off what a full disk left half written: it asks for that itself. Nothing of it
     * was acknowledged.
     */
    truncateBrokerOnce: () => void (truncateOnce = true),
    announceTickets: (ids: readonly string[]) => tell(tickets, { announce: ids }),
    /** The newest version of each, that was announced or is about to be. */
    newestTickets: async () => {
      const answer = await ask<{ versions: [string, number][] }>(tickets, { versions: true });
      if (!answer) throw new Error('the peer for tickets does not answer');
      return answer.versions;
    },
    /** From now on the peers send what can be read only. */
    endPoison: () => peers.forEach((peer) => tell(peer, { closing: true })),
    /** Ends what runs; everything is as dead as it can be. */
    stop: () => stopAll(started),
  };
}

/** Killed from outside, or by a crash point; or asked to end: 1 where that took too long. By no other signal, and never else. */
function isOrderlyOrKilled(code: number | null, signal: string | null): boolean {
  return signal === 'SIGKILL' || code === 0 || code === 1;
}

/** A broker whose disk is full while it makes a channel can never be started again: ours are made before. */
async function makeChannels(natsUrl: string): Promise<void> {
  const peer = await connectPeer(natsUrl);
  await peer.listen(CHANNELS);
  await peer.close();
}

function tell(child: Child, message: object): void {
  const target = child.process();
  // One that is just ending does not listen any more; that is what the campaign does all the time.
  if (target?.connected) target.send(message, () => {});
}

/** The next thing the process says; undefined where it does not. */
async function ask<T>(child: Child, question: object): Promise<T | undefined> {
  const target = child.process();
  if (!target?.connected) return undefined;
  const answer = once(target, 'message', { signal: AbortSignal.timeout(5_000) }).catch(() => [undefined]);
  tell(child, question);
  return ((await answer) as [T | undefined])[0];
}

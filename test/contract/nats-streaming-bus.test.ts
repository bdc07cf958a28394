import { createNatsStreamingBus } from '../../src/adapters/nats-streaming/bus';
import type { Bus, Receive, Subscription } from '../../src/application/bus';
import { ticking } from '../../src/wiring/clock';
import { eventually } from '../support/eventually';
import { connectPeer } from '../support/nats-peer';
import { startNatsStreamingServer } from '../support/nats-streaming-server';
import type { ServerProcess } from '../support/server-process';
import { describeWith } from '../support/servers';
import { silentLog } from '../support/silent';
import { MOST_IN_FLIGHT, REDELIVERY_WAIT_SECONDS, SUBJECT, describeBus } from './bus.contract';

const group = (
  subject: string,
  receive: Receive = () => Promise.resolve('done'),
  onChange: (isUp: boolean) => void = () => {},
): Subscription => ({ mode: 'group', subject, receive, onChange });

const watch = (subject: string, onChange: (isUp: boolean) => void): Subscription => ({
  mode: 'watch',
  subject,
  sinceMs: 60_000,
  hear() {},
  onChange,
});

describeWith(['nats-streaming-server'], 'NATS Streaming', () => {
  let server: ServerProcess;
  const connected: Bus[] = [];

  beforeEach(async () => {
    server = await startNatsStreamingServer();
  });

  afterEach(async () => {
    await Promise.all(connected.splice(0).map((bus) => bus.close()));
    await server.stop();
  });

  function connect(settings: Partial<Parameters<typeof createNatsStreamingBus>[0]> = {}): Bus {
    const bus = createNatsStreamingBus({
      url: server.url,
      clusterId: 'ticketing',
      clientId: 'client',
      queueGroup: 'group',
      redeliveryWaitSeconds: REDELIVERY_WAIT_SECONDS,
      ackTimeoutMs: 1_500,
      maxInFlight: (subject) => (subject === SUBJECT ? MOST_IN_FLIGHT : 16),
      clock: ticking,
      log: silentLog,
      ...settings,
    });
    connected.push(bus);
    return bus;
  }

  async function started(bus: Bus): Promise<Bus> {
    bus.start();
    await eventually(() => expect(bus.available()).toBe(true), 20_000);
    return bus;
  }

  async function channel(subject: string): Promise<string[]> {
    const peer = await eventually(() => connectPeer(server.url), 20_000);
    await peer.publish(subject, '"end"');
    const history = await peer.history(subject);
    await eventually(() => expect(history.at(-1)?.text).toBe('"end"'));
    await peer.close();
    return history.slice(0, -1).map(({ text }) => text);
  }

  describeBus('a real server', async () =>
    Promise.resolve({
      connect: ({ clientId, queueGroup }) => connect({ clientId, queueGroup }),
      breakBroker: () => server.kill('SIGKILL'),
      repairBroker: () => server.restart(),
    }),
  );

  it('fails what was in flight when the broker died, and never delivers it later', async () => {
    const bus = await started(connect());
    await bus.publish('s', '"before"');
    await server.kill('SIGSTOP');
    const inFlight = bus.publish('s', '"in flight"').then(
      () => 'acknowledged',
      (error: unknown) => error,
    );
    await server.kill('SIGKILL');
    expect(await inFlight).toMatchObject({ code: 'publish-failed' });
    await server.restart();
    await eventually(() => expect(bus.available()).toBe(true), 20_000);
    await bus.publish('s', '"after"');
    expect(await channel('s')).toEqual(['"before"', '"after"']);
  });

  it('gives up on a broker that is silent, and is back when that is', async () => {
    const bus = await started(connect());
    await server.kill('SIGSTOP');
    await expect(bus.publish('s', '1')).rejects.toMatchObject({ reason: 'timeout' });
    expect(bus.available()).toBe(false);
    await server.kill('SIGCONT');
    await eventually(() => expect(bus.available()).toBe(true), 20_000);
    await bus.publish('s', '2');
  });

  it('does not take the end of a silent connection for a word of the broker', async () => {
    const bus = await started(connect({ ackTimeoutMs: 60_000 }));
    await server.kill('SIGSTOP');
    await expect(bus.publish('s', '1')).rejects.toMatchObject({ reason: 'disconnected' });
    await server.kill('SIGCONT');
  }, 30_000);

  it('delivers what was not acknowledged when the broker died again afterwards', async () => {
    const bus = await started(connect());
    const heard: string[] = [];
    let verdict: 'retry' | 'done' = 'retry';
    bus.subscribe([
      group('s', async ({ data }) => {
        heard.push(data.toString());
        return Promise.resolve(verdict);
      }),
    ]);
    await bus.publish('s', '"x"');
    await eventually(() => expect(heard).toEqual(['"x"']));
    await server.kill('SIGKILL');
    verdict = 'done';
    await server.restart();
    await eventually(() => expect(heard.length).toBeGreaterThan(1), 20_000);
  });

  // Found by a campaign (seed 2026): each wait began to handle all of it once more, and the database never caught up.
  it('handles a message once that takes longer than the redelivery wait', async () => {
    const bus = await started(connect());
    let handled = 0;
    let finish = (): void => {};
    let markers = 0;
    bus.subscribe([
      group('s', ({ data }) => {
        if (data.toString() === '"marker"') return Promise.resolve((markers += 1) > 3 ? 'done' : 'retry');
        handled += 1;
        return new Promise((resolve) => (finish = () => resolve('done')));
      }),
    ]);
    await bus.publish('s', '"x"');
    await bus.publish('s', '"marker"');
    // Each time that the marker is delivered again, so is what was delivered before it.
    await eventually(() => expect(markers).toBe(4), 20_000);
    expect(handled).toBe(1);
    finish();
  });

  it('waits for a client id that somebody else still holds, and says so once', async () => {
    const warnings: object[] = [];
    const holder = await started(connect({ clientId: 'taken' }));
    const waiting = connect({
      clientId: 'taken',
      log: { ...silentLog, warn: (fields) => warnings.push(fields) },
    });
    waiting.start();
    await eventually(() => {
      expect(warnings).toEqual([{ reason: expect.stringContaining('already registered') }]);
    });
    await holder.close();
    await eventually(() => expect(waiting.available()).toBe(true), 20_000);
    expect(warnings).toHaveLength(1);
  });

  it('waits for a broker that is started later', async () => {
    await server.kill('SIGKILL');
    const bus = connect();
    bus.start();
    await expect(bus.publish('s', '1')).rejects.toMatchObject({ reason: 'disconnected' });
    await server.restart();
    await eventually(() => expect(bus.available()).toBe(true), 20_000);
  });

  it('can be closed while it connects, and connects no more', async () => {
    await server.kill('SIGSTOP');
    const bus = connect();
    bus.start();
    await bus.close();
    await server.kill('SIGCONT');
    // Its id is free, so it is not connected.
    await started(connect());
    expect(bus.available()).toBe(false);
  });

  it('waits longer and longer where the broker refuses its subscriptions', async () => {
    const pauses: number[] = [];
    const bus = connect({
      queueGroup: 'no:durable name',
      clock: {
        random: () => 0.5,
        after(ms, task) {
          pauses.push(ms);
          return ticking.after(ms, task);
        },
      },
    });
    bus.subscribe([group('s')]);
    bus.start();
    await eventually(() => expect(pauses).toEqual(expect.arrayContaining([100, 200, 400, 800])), 20_000);
  });

  describe('where the broker takes one subscription of a subject and no more', () => {
    let strict: ServerProcess;

    beforeEach(async () => {
      strict = await startNatsStreamingServer(['--max_subs', '1']);
    });

    afterEach(() => strict.stop());

    it.each(['watch', 'group'] as const)(
      'keeps the connection, asks for the %s again with growing pauses, and says so once',
      async (refused) => {
        const holder = await started(connect({ url: strict.url, clientId: 'holder', queueGroup: 'other' }));
        let held = 0;
        holder.subscribe([watch('s', (isUp) => void (held += isUp ? 1 : 0))]);
        await eventually(() => expect(held).toBe(1));

        const pauses: number[] = [];
        const warnings: { reason: string }[] = [];
        let retries = 0;
        let connections = 0;
        const ups: string[] = [];
        const downs: string[] = [];
        const noted = (subject: string) => (isUp: boolean) => void (isUp ? ups : downs).push(subject);
        const bus = connect({
          url: strict.url,
          clock: {
            random: () => 0.5,
            after(ms, task) {
              if (ms < 5_000 && ms !== 3_000) pauses.push(ms);
              return ticking.after(ms, task);
            },
          },
          log: { ...silentLog, warn: (fields) => void warnings.push(fields as { reason: string }) },
          onConnectionChange: (up) => void (connections += up ? 1 : 0),
          onRetry: () => void (retries += 1),
        });
        const wanted = refused === 'watch' ? watch('s', noted('s')) : group('s', undefined, noted('s'));
        bus.subscribe([group('t', undefined, noted('t')), wanted]);
        await started(bus);
        await eventually(() => expect(pauses).toEqual([100, 200, 400, 800]), 20_000);
        await bus.publish('u', '1');
        expect({ connections, retries, ups, downs }).toEqual({
          connections: 1,
          retries: 4,
          ups: ['t'],
          downs: [],
        });
        expect(warnings).toEqual([{ reason: expect.stringContaining('subscription to s: ') }]);

        await holder.stopReceiving();
        await eventually(() => expect(ups).toEqual(['t', 's']), 20_000);
        expect(connections).toBe(1);
        await bus.stopReceiving();
        expect(downs.sort()).toEqual(['s', 't']);
      },
    );
  });

  it('asks less and less often for a connection that its credentials do not give', async () => {
    const guarded = await startNatsStreamingServer(['--user', 'u', '--pass', 'p']);
    const pauses: number[] = [];
    const bus = connect({
      url: guarded.url,
      clock: {
        random: () => 0.5,
        after(ms, task) {
          if (ms < 3_000) pauses.push(ms);
          return ticking.after(ms, task);
        },
      },
    });
    bus.start();
    try {
      await eventually(() => expect(pauses.slice(0, 4)).toEqual([100, 200, 400, 800]), 20_000);
      expect(bus.available()).toBe(false);
    } finally {
      await guarded.stop();
    }
  });

  it('says where it has connected to, without the password', async () => {
    const said: string[] = [];
    const log = { ...silentLog, info: (fields: object) => void said.push(JSON.stringify(fields)) };
    await started(connect({ log, url: server.url.replace('//', '//user:pa@ss@') }));
    expect(said.join()).toContain(new URL(server.url).host);
    expect(said.join()).not.toMatch(/user|pa@|ss@/);
  });

  it('refuses a redelivery wait that the server could not keep', () => {
    const bad = () =>
      createNatsStreamingBus({
        url: server.url,
        clusterId: 'ticketing',
        clientId: 'c',
        queueGroup: 'g',
        redeliveryWaitSeconds: 0.5,
        ackTimeoutMs: 1_000,
        maxInFlight: () => 1,
        clock: ticking,
        log: silentLog,
      });
    expect(bad).toThrow(RangeError);
  });
});

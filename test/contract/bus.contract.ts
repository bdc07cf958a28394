import {
  PublishFailed,
  type Bus,
  type Message,
  type Receive,
  type Subscription,
} from '../../src/application/bus';
import { eventually } from '../support/eventually';

export interface BusHarness {
  /** A connection of its own, not started; closed after the test. */
  connect(member: { clientId: string; queueGroup: string }): Bus;
  /** The broker stops, and comes back with everything that it acknowledged. */
  breakBroker(): Promise<void>;
  repairBroker(): Promise<void>;
}

/** The broker delivers again after this long, in both harnesses. */
export const REDELIVERY_WAIT_SECONDS = 1;

/** So many messages of a subject a member may have at once, in both harnesses. */
export const MOST_IN_FLIGHT = 64;

export const SUBJECT = 'test:happened';
/** A message that no test is about: it is acknowledged when it comes again, not before. */
const MARKER = 'marker';

const group = (receive: Receive, onChange?: (isUp: boolean) => void): Subscription => ({
  mode: 'group',
  subject: SUBJECT,
  receive,
  ...(onChange ? { onChange } : {}),
});

/** Everything that the application relies on, held by every bus. */
export function describeBus(name: string, setUp: () => Promise<BusHarness>): void {
  describe(`the bus on ${name}`, () => {
    let harness: BusHarness;
    let clients = 0;

    beforeEach(async () => {
      harness = await setUp();
    });

    async function member(queueGroup = 'group'): Promise<Bus> {
      const bus = harness.connect({ clientId: `client-${(clients += 1)}`, queueGroup });
      bus.start();
      await eventually(() => expect(bus.available()).toBe(true));
      return bus;
    }

    /** Subscribes, and resolves to what it hears when the subscription is up. */
    async function listen(bus: Bus, verdict: (message: Message) => 'done' | 'retry' = () => 'done') {
      const heard: Message[] = [];
      const ups: string[] = [];
      const downs: string[] = [];
      let markerCameAgain = false;
      bus.subscribe([
        group(
          async (message) => {
            await Promise.resolve();
            if (message.data.toString() === MARKER) {
              markerCameAgain = message.redelivered;
              return message.redelivered ? 'done' : 'retry';
            }
            heard.push(message);
            return verdict(message);
          },
          (isUp) => (isUp ? ups : downs).push(SUBJECT),
        ),
      ]);
      await eventually(() => expect(ups).toEqual([SUBJECT]));
      return {
        heard,
        ups,
        downs,
        texts: () => heard.map(({ data }) => data.toString()),
        /** Everything that was delivered before, and is to come again, has come again. */
        async redeliveriesAreOver() {
          await publish(bus, MARKER);
          await eventually(() => expect(markerCameAgain).toBe(true));
        },
      };
    }

    const publish = (bus: Bus, text: string) => bus.publish(SUBJECT, text);

    async function publishAll(bus: Bus, texts: readonly string[]): Promise<void> {
      for (const text of texts) await publish(bus, text);
    }

    it('gives a new queue group the whole history, in order, with numbers and times', async () => {
      const bus = await member();
      await publishAll(bus, ['1', '2', '3']);
      const { heard, texts } = await listen(bus);
      await publish(bus, '4');
      await eventually(() => expect(texts()).toEqual(['1', '2', '3', '4']));
      expect(heard.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
      expect(heard.every(({ redelivered, subject }) => !redelivered && subject === SUBJECT)).toBe(true);
      expect(Math.abs(Date.now() - (heard[0]?.publishedAt.getTime() ?? 0))).toBeLessThan(60_000);
    });

    it('lets everyone who watches hear what others handle, from some time ago on, and after a loss again', async () => {
      const bus = await member();
      await publishAll(bus, ['1', '2']);
      const { texts } = await listen(bus);
      const watcher = await member();
      const heard: string[] = [];
      const downs: string[] = [];
      const ups: string[] = [];
      watcher.subscribe([
        {
          mode: 'watch',
          subject: SUBJECT,
          sinceMs: 60_000,
          hear: ({ data }) => heard.push(data.toString()),
          onChange: (isUp) => (isUp ? ups : downs).push(SUBJECT),
        },
      ]);
      await eventually(() => expect(heard).toEqual(['1', '2']));
      await publish(bus, '3');
      await eventually(() => expect(heard).toEqual(['1', '2', '3']));
      await eventually(() => expect(texts()).toEqual(['1', '2', '3']));
      await harness.breakBroker();
      await eventually(() => expect(downs).toEqual([SUBJECT]));
      await harness.repairBroker();
      await eventually(() => expect(ups).toEqual([SUBJECT, SUBJECT]));
      await eventually(() => expect(heard).toEqual(['1', '2', '3', '1', '2', '3']));
      await watcher.stopReceiving();
      expect(downs).toEqual([SUBJECT, SUBJECT]);
    });

    it('brings every byte through', async () => {
      const bus = await member();
      const text = '{"a":"ä€😀\\u0000\\n"}';
      await publish(bus, text);
      const { heard } = await listen(bus);
      await eventually(() => expect(heard).toHaveLength(1));
      expect(heard[0]?.data.equals(Buffer.from(text))).toBe(true);
    });

    it('gives each message to one member of a group, and to every group', async () => {
      const [a, b, other] = await Promise.all([member('group'), member('group'), member('other')]);
      const [heardA, heardB, heardOther] = await Promise.all([listen(a), listen(b), listen(other)]);
      const texts = Array.from({ length: 40 }, (_, i) => String(i));
      await publishAll(a, texts);
      await eventually(() => expect(heardOther.texts()).toEqual(texts));
      await eventually(() => {
        expect([...heardA.texts(), ...heardB.texts()].sort()).toEqual([...texts].sort());
      });
      expect(heardA.heard.length).toBeGreaterThan(0);
      expect(heardB.heard.length).toBeGreaterThan(0);
    });

    it('delivers a message again that was not acknowledged, and says so', async () => {
      const bus = await member();
      let verdicts = 0;
      const { heard, redeliveriesAreOver } = await listen(bus, () =>
        (verdicts += 1) === 1 ? 'retry' : 'done',
      );
      await publish(bus, 'x');
      await eventually(() => expect(heard).toHaveLength(2));
      expect(heard.map(({ redelivered, sequence }) => [redelivered, sequence])).toEqual([
        [false, 1],
        [true, 1],
      ]);
      await redeliveriesAreOver();
      expect(heard).toHaveLength(2);
    });

    it('goes on after a handler that throws, and delivers that message again', async () => {
      const bus = await member();
      let calls = 0;
      const { texts } = await listen(bus, () => {
        calls += 1;
        if (calls === 1) throw new Error('a bug');
        return 'done';
      });
      await publishAll(bus, ['poison', 'next']);
      await eventually(() => expect(texts()).toEqual(['poison', 'next', 'poison']));
    });

    it('gives what a member had in flight when it left to another', async () => {
      const [leaving, staying] = await Promise.all([member(), member()]);
      const { heard: inFlight } = await listen(leaving, () => 'retry');
      await publish(leaving, 'x');
      await eventually(() => expect(inFlight.length).toBeGreaterThan(0));
      await leaving.close();
      const { texts } = await listen(staying);
      await eventually(() => expect(texts()).toContain('x'));
    });

    it("keeps the group's position when its last member leaves", async () => {
      const first = await member();
      const { texts } = await listen(first);
      await publishAll(first, ['1', '2']);
      await eventually(() => expect(texts()).toEqual(['1', '2']));
      await first.stopReceiving();
      await publish(first, '3');
      await first.close();
      const second = await member();
      const later = await listen(second);
      await eventually(() => expect(later.texts()).toEqual(['3']));
      await later.redeliveriesAreOver();
      expect(later.texts()).toEqual(['3']);
    });

    it('settles and acknowledges what is in flight before it stops receiving, and still publishes', async () => {
      const first = await member();
      let finish = (): void => {};
      let begun = 0;
      first.subscribe([
        group(() => {
          begun += 1;
          return new Promise((resolve) => (finish = () => resolve('done')));
        }),
      ]);
      await publish(first, '1');
      await eventually(() => expect(begun).toBe(1));
      let stopped = false;
      const stopping = first.stopReceiving().then(() => (stopped = true));
      // A whole conversation with the broker later.
      await publish(first, '2');
      expect(stopped).toBe(false);
      finish();
      await stopping;
      await publish(first, '3');
      const second = await member();
      const { texts, redeliveriesAreOver } = await listen(second);
      // What reached the first one when it took nothing any more may come again after the other.
      const inOrder = () => [...texts()].sort();
      await eventually(() => expect(inOrder()).toEqual(['2', '3']));
      await redeliveriesAreOver();
      expect(inOrder()).toEqual(['2', '3']);
    });

    it('refuses to publish while the broker is unavailable, says when it can again, and hears on', async () => {
      const bus = await member();
      const { texts, ups, downs } = await listen(bus);
      let availableAgain = 0;
      bus.onAvailable(() => (availableAgain += 1));
      await harness.breakBroker();
      await eventually(() => expect(bus.available()).toBe(false));
      const failure = await publish(bus, 'lost').catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PublishFailed);
      expect(failure).toMatchObject({ reason: 'disconnected' });
      expect(downs).toEqual([SUBJECT]);
      await harness.repairBroker();
      await eventually(() => expect(availableAgain).toBe(1), 20_000);
      await eventually(() => expect(ups).toEqual([SUBJECT, SUBJECT]), 20_000);
      await publish(bus, 'after');
      await eventually(() => expect(texts()).toContain('after'));
      expect(texts()).not.toContain('lost');
    });

    it('hands out no more of a subject than a member may have in flight, and the others when it has room', async () => {
      const bus = await member();
      const texts = Array.from({ length: MOST_IN_FLIGHT + 30 }, (_, i) => String(i));
      await publishAll(bus, texts);
      let inFlight = 0;
      let mostInFlight = 0;
      let finish = (): void => {};
      const finished = new Promise<void>((resolve) => (finish = resolve));
      const heard = new Set<string>();
      bus.subscribe([
        group(async ({ data }) => {
          heard.add(data.toString());
          inFlight += 1;
          mostInFlight = Math.max(mostInFlight, inFlight);
          await finished;
          inFlight -= 1;
          return 'done';
        }),
      ]);
      await eventually(() => expect(inFlight).toBe(MOST_IN_FLIGHT));
      // A whole conversation with the broker later.
      await publish(bus, 'last');
      expect(inFlight).toBe(MOST_IN_FLIGHT);
      finish();
      await eventually(() => expect(heard).toEqual(new Set([...texts, 'last'])));
      expect(mostInFlight).toBe(MOST_IN_FLIGHT);
    });

    it('can be closed twice, and before it was ever connected', async () => {
      const bus = await member();
      await bus.close();
      await bus.close();
      expect(bus.available()).toBe(false);
      await expect(publish(bus, 'x')).rejects.toMatchObject({ reason: 'disconnected' });
      await harness.connect({ clientId: 'never', queueGroup: 'g' }).close();
    });
  });
}

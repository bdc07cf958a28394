import { onAskedToStop } from '../support/asked-to-stop';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

describe('what runs by hand and goes on for long', () => {
  const before = SIGNALS.map((signal) => process.listeners(signal));
  let now = 0;

  beforeEach(() => void jest.spyOn(performance, 'now').mockImplementation(() => now));
  afterEach(() => {
    jest.restoreAllMocks();
    for (const [i, signal] of SIGNALS.entries()) {
      process.removeAllListeners(signal);
      for (const listener of before[i] ?? []) process.on(signal, listener);
    }
  });

  it.each(SIGNALS)(
    'takes what comes right after SIGINT for the same request, and not what comes later: %s',
    (signal) => {
      const asked: boolean[] = [];
      onAskedToStop((again) => asked.push(again));

      process.emit('SIGINT', 'SIGINT');
      process.emit(signal, signal);
      expect(asked).toEqual([false]);

      now += 500;
      process.emit(signal, signal);
      expect(asked).toEqual([false, true]);
    },
  );
});

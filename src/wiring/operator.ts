import { randomBytes } from 'node:crypto';
import type { Bus } from '../application/bus';
import type { Log } from '../application/ports';
import { LEASE_MS } from '../application/relay';
import { pause } from '../application/schedule';
import type { CommandContext, OperatorDatabase } from '../commands/context';
import { CommandFailed, EXIT_CODES } from '../commands/exit-codes';
import { createOutput, printable, type Output } from '../commands/output';
import {
  loadCommandConfig,
  loadImportConfig,
  type CommandConfig,
  type Environment,
} from '../config/load-config';
import { ticking } from './clock';
import { createClosers } from './closers';
import { natsSettings } from './nats-settings';
import { createOperatorDatabase } from './operator-database';

const PATIENCE_MS = 15_000;
/** How long an interrupted command may take to close its connections. */
const CLOSE_MS = 2_000;

/** What the commands use, and `close` for the connections that they opened. Adapters are loaded only when one is. */
export function createCommandContext(env: Environment): {
  context: CommandContext;
  close: () => Promise<void>;
} {
  const output = createOutput(process.stdout, process.stderr);
  const log = toStderr(output);
  const clientId = (base = 'order-service') => `${base}-operator-${randomBytes(4).toString('hex')}`;
  const closers = createClosers((error) => output.note(`a connection was not closed: ${textOf(error)}`));
  let closesOnSignals = false;

  function read(needs: { broker: boolean }): CommandConfig {
    const config = loadCommandConfig(env, needs);
    prepare(config);
    return config;
  }

  /** Prints the warnings; from now on a signal closes the connections. */
  function prepare({ warnings }: Pick<CommandConfig, 'warnings'>): void {
    for (const warning of warnings) output.note(warning);
    if (!closesOnSignals) closeOnSignals(closers.closeAll, output);
    closesOnSignals = true;
  }

  async function connectDatabase({ mongoUrl }: CommandConfig): Promise<OperatorDatabase> {
    const [{ createMongoStore }, { lastingFailure }] = await Promise.all([
      import('../adapters/mongo/store.js'),
      import('../adapters/mongo/lasting-failure.js'),
    ]);
    const connecting = createConnecting('the database of MONGO_URL', output);
    const store = createMongoStore({
      url: mongoUrl,
      replicaId: clientId(),
      leaseMs: LEASE_MS,
      clock: ticking,
      log,
      visit: {
        givesUp(error) {
          const why = lastingFailure(error);
          return connecting.failed(why ?? textOf(error), { isLasting: why !== undefined });
        },
      },
    });
    closers.add(store.close);
    store.start();
    await connecting.until(store.ready);
    return createOperatorDatabase(store, log);
  }

  async function connectBroker({ nats }: CommandConfig): Promise<Bus> {
    const [server] = nats?.servers ?? [];
    if (!nats || !server) throw new Error('the settings of the broker were not read');
    const [{ createNatsStreamingBus }, { isRefusal }] = await Promise.all([
      import('../adapters/nats-streaming/bus.js'),
      import('../adapters/nats-streaming/generation.js'),
    ]);
    const connecting = createConnecting('the broker of NATS_URL', output);
    let refusals = 0;
    const id = clientId(nats.clientId);
    // It subscribes to nothing.
    const settings = natsSettings({ ...nats, clientId: id, queueGroup: id, redeliveryWaitSeconds: 1 });
    const bus = createNatsStreamingBus({
      ...settings,
      url: server.url,
      clock: ticking,
      log,
      givesUp(reason) {
        if (isRefusal(reason)) refusals += 1;
        // Another server may accept it.
        return connecting.failed(reason, { isLasting: refusals >= nats.servers.length });
      },
    });
    closers.add(bus.close);
    bus.start();
    await connecting.until(bus.available);
    return bus;
  }

  async function openImport(from?: string) {
    const config = loadImportConfig(from === undefined ? env : { ...env, OLD_MONGO_URL: from });
    prepare(config);
    const { openImport: open } = await import('../adapters/mongo/import/open-import.js');
    const opened = await open({ ...config, owner: clientId(), clock: ticking, note: output.note });
    closers.add(opened.close);
    return opened;
  }

  const context: CommandContext = {
    env,
    output,
    stdin: () => process.stdin,
    serve: () => void import('./process.js').then(({ run }) => run(env)),
    openDatabase: async () => connectDatabase(read({ broker: false })),
    openImport,
    async openDatabaseAndBroker() {
      const config = read({ broker: true });
      return { database: await connectDatabase(config), publisher: await connectBroker(config) };
    },
  };
  return { context, close: closers.closeAll };
}

/** Warnings and errors, for a person. */
function toStderr(output: Output): Log {
  const write = (
    { err, reason = err, ...fields }: { err?: unknown; reason?: unknown },
    text: string,
  ): void => {
    const why = reason === undefined ? '' : `: ${textOf(reason)}`;
    const about = Object.entries(fields).map(([name, value]) => `${name} ${String(value)}`);
    output.note(printable(`${text}${why}${about.length > 0 ? ` (${about.join(', ')})` : ''}`));
  };
  return { debug: () => {}, info: () => {}, warn: write, error: write };
}

/** A broker keeps the client id of a connection that was not closed. */
function closeOnSignals(close: () => Promise<void>, output: Output): void {
  for (const [signal, exitCode] of [
    ['SIGINT', EXIT_CODES.interrupted],
    ['SIGTERM', EXIT_CODES.terminated],
  ] as const) {
    process.on(signal, () => {
      // Under npm one Ctrl-C arrives twice.
      if (output.isInterrupted()) return;
      output.interrupted(exitCode);
      output.note('interrupted: run it again to finish');
      const exit = () => process.exit(exitCode);
      setTimeout(exit, CLOSE_MS);
      void close().finally(exit);
    });
  }
}

/** Waits for a connection that is made in the background, and ends with the cause if it cannot be made. */
function createConnecting(what: string, output: Pick<Output, 'note'>) {
  let isWaiting = true;
  let lastReason: string | undefined;
  let lastingReason: string | undefined;

  return {
    /** Returns whether it is lasting. */
    failed(reason: string, { isLasting }: { isLasting: boolean }): boolean {
      lastReason = reason;
      if (isLasting) lastingReason = reason;
      // The operation in flight only knows that it failed.
      if (isLasting && !isWaiting) output.note(`${what} cannot be used any more: ${reason}`);
      return isLasting;
    },
    async until(holds: () => boolean): Promise<void> {
      const deadline = performance.now() + PATIENCE_MS;
      while (!holds()) {
        if (lastingReason !== undefined) throw new CommandFailed(`${what} cannot be used: ${lastingReason}`);
        if (performance.now() > deadline) {
          const why = lastReason === undefined ? '' : `: ${lastReason}`;
          throw new CommandFailed(`timed out: waited ${PATIENCE_MS / 1000} s for ${what}${why}`);
        }
        await pause(ticking, 50);
      }
      isWaiting = false;
    },
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

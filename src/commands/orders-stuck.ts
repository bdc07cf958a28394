import { Command } from 'commander';
import type { StuckOrders, UnpublishedOrder } from '../application/operator-ports';
import type { ListedMessage } from '../application/failed-messages';
import type { Order } from '../domain/order';
import { loadGraceSeconds } from '../config/load-config';
import { JSON_OPTION, limitOption, wholeNumber, withExamples } from './arguments';
import type { CommandContext } from './context';
import { printList, type Column } from './output';

type Context = Pick<CommandContext, 'env' | 'openDatabase' | 'output'>;

interface Options {
  readonly overdue: number;
  readonly unpublished: number;
  readonly attempts: number;
  readonly limit: number;
  readonly json?: boolean;
}

interface Stuck {
  readonly orderId: string;
  readonly problem: 'overdue' | 'unpublished';
  readonly since: Date | undefined;
  readonly why: string;
  readonly action: string;
}

const COLUMNS: readonly Column<Stuck>[] = [
  { title: 'ORDER', cell: ({ orderId }) => orderId },
  { title: 'PROBLEM', cell: ({ problem }) => problem },
  { title: 'SINCE', cell: ({ since }) => since },
  { title: 'WHY', cell: ({ why }) => why },
  { title: 'WHAT TO DO', cell: ({ action }) => action },
];

const seconds = wholeNumber(0, 365 * 24 * 3600);

export function stuckCommand({ env, openDatabase, output }: Context): Command {
  const command = new Command('stuck')
    .description(
      'Lists orders that should have gone on: overdue, or with events that are not published for long, with the reason ' +
        'and what to do. The exit code is 3 if there are any.',
    )
    .option(
      '--overdue <SECONDS>',
      'unpaid for so long after expiresAt and EXPIRATION_GRACE_SECONDS',
      seconds,
      60,
    )
    .option('--unpublished <SECONDS>', 'events not published for so long', seconds, 60)
    .option('--attempts <N>', 'or publishing failed so often', wholeNumber(1, 1_000), 3)
    .addOption(limitOption())
    .option(...JSON_OPTION)
    .action(async ({ overdue, unpublished, attempts, limit, json }: Options) => {
      const graceSeconds = loadGraceSeconds(env);
      const { findStuck, failedAbout, now } = await openDatabase();
      const ago = (s: number) => new Date(now().getTime() - s * 1_000);
      const stuck = await findStuck({
        expiredBefore: ago(graceSeconds + overdue),
        unpublishedBefore: ago(unpublished),
        attempts,
        limit,
      });
      const failed = await failedAbout(stuck.overdue.map(({ id }) => id));
      const rows = explain(stuck, failed, now());
      if (rows.length > 0) output.needsAttention();
      await printList(output, rows, { columns: COLUMNS, json, empty: 'No order is stuck.' });
    });
  return withExamples(command, 'orders stuck', 'orders stuck --overdue 600 --unpublished 300 --json');
}

/** Why each is stuck, as far as the database shows it. */
export function explain(
  { overdue, unpublished }: StuckOrders,
  failed: ReadonlyMap<string, ListedMessage>,
  now: Date,
): Stuck[] {
  return [
    ...overdue.map((order) => explainOverdue(order, failed.get(order.id))),
    ...unpublished.map((order) => explainUnpublished(order, now)),
  ];
}

function explainOverdue({ id, expiresAt }: Order, message: ListedMessage | undefined): Stuck {
  const stuck = { orderId: id, problem: 'overdue', since: expiresAt } as const;
  if (message) {
    const why = `a message about it could not be handled: ${message.reason}`;
    return { ...stuck, why, action: `dead-letters show ${message.id}` };
  }
  return {
    ...stuck,
    why: 'no replica expires it: none runs, none reaches the broker, or payments are not caught up',
    action: 'check /readyz and the log ("payments"); then orders cancel, if it is certainly not paid',
  };
}

function explainUnpublished(
  { orderId, since, attempts, owner, leaseUntil, waitsFor }: UnpublishedOrder,
  now: Date,
): Stuck {
  const stuck = { orderId, problem: 'unpublished', since } as const;
  if (waitsFor !== undefined) {
    const why = `an earlier order of its ticket has events to publish: ${waitsFor}`;
    return { ...stuck, why, action: `orders show ${waitsFor}` };
  }
  if (attempts > 0) {
    return {
      ...stuck,
      why: `the broker did not acknowledge an event, ${attempts} times`,
      action: 'search the log for the order; check limits and disk of the broker',
    };
  }
  if (owner !== undefined && leaseUntil > now) {
    return {
      ...stuck,
      why: `${owner} holds its publishing lease until ${leaseUntil.toISOString()}`,
      action: 'wait until then; if it is held again and again, look at the log of that replica',
    };
  }
  return {
    ...stuck,
    why: 'no replica publishes it: none runs, or none reaches the broker',
    action: 'check /readyz and the connection to the broker',
  };
}

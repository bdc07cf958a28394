import { Command } from 'commander';
import { chargeOf, openRefunds, replacementOf, type Order, type Payment } from '../domain/order';
import { commandGroup, JSON_OPTION, limitOption, parseId, parseText, withExamples } from './arguments';
import type { CommandContext, OperatorDatabase } from './context';
import { CommandFailed, WrongUsage } from './exit-codes';
import { printable, printList, printResult, type Column } from './output';
import { paidAt, textOfRefund } from './payments';

type Context = Pick<CommandContext, 'openDatabase' | 'output'>;

export function refundsCommand(context: Context): Command {
  return commandGroup(
    'refunds',
    'Payments that an order could not keep: their buyers must get the money back.',
    listCommand(context),
    resolveCommand(context),
  );
}

interface OpenRefund extends Pick<Payment, 'stripeId' | 'refund' | 'placeholder'> {
  readonly paymentId: string;
  readonly orderId: string;
  readonly userId: string;
  readonly price: number;
  readonly paidAt?: Date;
}

const COLUMNS: readonly Column<OpenRefund>[] = [
  { title: 'PAYMENT', cell: ({ paymentId }) => paymentId },
  { title: 'CHARGE', cell: ({ stripeId }) => stripeId },
  { title: 'ORDER', cell: ({ orderId }) => orderId },
  { title: 'USER', cell: ({ userId }) => userId },
  { title: 'PRICE', cell: ({ price }) => price },
  { title: 'PAID AT', cell: (payment) => payment.paidAt },
  { title: 'WHY', cell: textOfRefund },
];

function listCommand({ openDatabase, output }: Context): Command {
  const command = new Command('list')
    .description(
      'Lists open refunds: of late payments of cancelled orders, of second payments, and of paid orders that an import ' +
        'cancelled.',
    )
    .addOption(limitOption())
    .option(...JSON_OPTION)
    .action(async ({ limit, json }: { limit: number; json?: boolean }) => {
      const { orders } = await openDatabase();
      const rows = (await orders.withOpenRefunds(limit)).flatMap(toRefunds).slice(0, limit);
      await printList(output, rows, { columns: COLUMNS, json, empty: 'There are no open refunds.' });
    });
  return withExamples(command, 'refunds list', 'refunds list --json');
}

function toRefunds(order: Order): OpenRefund[] {
  return openRefunds(order).map((payment) => {
    const { id, stripeId, refund, placeholder } = payment;
    const at = paidAt(payment);
    return {
      paymentId: id,
      ...(stripeId === undefined ? {} : { stripeId }),
      orderId: order.id,
      userId: order.userId,
      price: order.ticket.price,
      ...(at && { paidAt: at }),
      ...(placeholder ? { placeholder } : refund && { refund }),
    };
  });
}

interface ResolveOptions {
  readonly ref: string;
  readonly order?: string;
  readonly json?: boolean;
}

function resolveCommand({ openDatabase, output }: Context): Command {
  const command = new Command('resolve')
    .description(
      'Records that a payment was paid back. A second run with the same reference changes nothing.',
    )
    .argument('<PAYMENT>', 'the id of the payment, as in `refunds list`', parseText)
    .requiredOption('--ref <TEXT>', "the reference of the refund, such as the provider's id", parseText)
    .option('--order <ID>', 'the order, if several orders have a refund of this payment', parseId)
    .option(...JSON_OPTION)
    .action(async (paymentId: string, { ref, order, json }: ResolveOptions) => {
      const database = await openDatabase();
      const orderId = order ?? (await onlyOrderWith(database, paymentId));
      const { reference, changed } = await resolve(database, { orderId, paymentId, ref });
      if (reference !== ref) {
        throw new CommandFailed(
          `payment ${paymentId} of order ${orderId} was refunded before, with ${reference}`,
        );
      }
      const text = changed
        ? `Payment ${printable(paymentId)} is refunded.`
        : `Payment ${printable(paymentId)} was refunded already. Nothing was changed.`;
      await printResult(output, { orderId, paymentId, reference, changed }, { text, json });
    });
  return withExamples(
    command,
    'refunds resolve 5f00c0ffee00000000000001 --ref re_3N1',
    'refunds resolve pay-7 --ref re_3N1 --order 65a1c0ffee00000000000001',
  );
}

/** Also one that is refunded: which order is meant must not depend on what an earlier run did. */
async function onlyOrderWith({ withRefundOf }: OperatorDatabase, paymentId: string): Promise<string> {
  const [first, ...others] = await withRefundOf(paymentId);
  if (!first) throw new CommandFailed(`there is no refund of a payment ${paymentId}`);
  if (others.length === 0) return first.id;
  const ids = [first, ...others].map(({ id }) => id).join(', ');
  throw new WrongUsage(`several orders have a refund of payment ${paymentId}, name one with --order: ${ids}`);
}

async function resolve(
  { changeOrder, now }: OperatorDatabase,
  { orderId, paymentId, ref }: { orderId: string; paymentId: string; ref: string },
): Promise<{ reference: string | undefined; changed: boolean }> {
  const refunded = { at: now(), reference: ref };
  const result = await changeOrder(
    orderId,
    { type: 'refund', paymentId, refunded },
    { type: 'operator', reason: `refunded: ${ref}` },
  );
  if (result.type === 'unknown-order') throw new CommandFailed(`there is no order ${orderId}`);
  if (result.type === 'refused' || result.type === 'not-permitted') {
    throw new CommandFailed(`order ${orderId} has no payment ${paymentId} that must be refunded`);
  }
  const charge = chargeOf(result.order, paymentId);
  const received = charge && replacementOf(result.order, charge);
  if (received) {
    throw new CommandFailed(
      `payment ${paymentId} of order ${orderId} has been received as ${received.id} since: resolve that one`,
    );
  }
  return { reference: charge?.refunded?.reference, changed: result.type === 'changed' };
}

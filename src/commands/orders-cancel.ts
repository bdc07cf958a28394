import { Command } from 'commander';
import { JSON_OPTION, parseId, parseText, withExamples } from './arguments';
import type { CommandContext } from './context';
import { CommandFailed } from './exit-codes';
import { printResult } from './output';

type Context = Pick<CommandContext, 'openDatabase' | 'output'>;

export function cancelCommand({ openDatabase, output }: Context): Command {
  const command = new Command('cancel')
    .description(
      'Cancels an order that is not paid, whoever owns it. Its ticket is free again, and the running service publishes ' +
        'OrderCancelled. A paid order is refused. For an order that is cancelled already nothing changes.',
    )
    .argument('<ID>', 'the id of the order', parseId)
    .requiredOption('--reason <TEXT>', 'why, for the history of the order', parseText)
    .option(...JSON_OPTION)
    .action(async (orderId: string, { reason, json }: { reason: string; json?: boolean }) => {
      const { changeOrder } = await openDatabase();
      const result = await changeOrder(
        orderId,
        { type: 'cancel', by: 'operator' },
        { type: 'operator', reason },
      );
      switch (result.type) {
        case 'unknown-order':
          throw new CommandFailed(`there is no order ${orderId}`);
        case 'refused':
        case 'not-permitted':
          throw new CommandFailed(`order ${orderId} is paid: it keeps its ticket, and nothing was changed`);
        case 'changed':
        case 'unchanged': {
          const changed = result.type === 'changed';
          const text = changed
            ? `Order ${orderId} is cancelled. The running service publishes the event.`
            : `Order ${orderId} was cancelled already. Nothing was changed.`;
          await printResult(output, { orderId, status: result.order.status, changed }, { text, json });
        }
      }
    });
  return withExamples(command, "orders cancel 65a1c0ffee00000000000001 --reason 'asked by phone'");
}

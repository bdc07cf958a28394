import type { Command } from 'commander';
import { commandGroup } from './arguments';
import type { CommandContext } from './context';
import { cancelCommand } from './orders-cancel';
import { showCommand } from './orders-show';
import { stuckCommand } from './orders-stuck';

export function ordersCommand(context: CommandContext): Command {
  return commandGroup(
    'orders',
    'Single orders: what happened to them, and what holds them up.',
    showCommand(context),
    stuckCommand(context),
    cancelCommand(context),
  );
}

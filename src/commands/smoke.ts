import { Command } from 'commander';
import { JSON_OPTION, parseText, withExamples } from './arguments';
import type { CommandContext } from './context';
import { CommandFailed } from './exit-codes';
import { printResult } from './output';

/** The client of the broker is loaded only here. */
export function smokeCommand({ env, output }: Pick<CommandContext, 'env' | 'output'>): Command {
  const command = new Command('smoke')
    .description(
      'Tests a running service: places, reads and cancels an order as a buyer, and receives its events as a peer. ' +
        'Leaves a ticket and a cancelled order behind. Reads ORDERS_URL (such as http://orders:3000/api/v1/orders), ' +
        'NATS_URL with its credentials, NATS_CLUSTER_ID, JWT_KEY and DEADLINE_SECONDS (60).',
    )
    .option('--url <URL>', 'instead of ORDERS_URL', parseText)
    .option(...JSON_OPTION)
    .action(async ({ url, json }: { url?: string; json?: boolean }) => {
      const [{ smoke }, { readSettings }] = await Promise.all([
        import('../smoke/smoke.js'),
        import('../smoke/settings.js'),
      ]);
      const isGood = await smoke(
        readSettings({ ...env, ...(url && { ORDERS_URL: url }) }),
        ({ step, failure }) => {
          const text = failure === undefined ? `ok   ${step}` : `FAIL ${step}: ${failure}`;
          return printResult(output, { step, ok: failure === undefined, failure }, { text, json });
        },
      );
      if (!isGood) throw new CommandFailed('the smoke test failed');
    });
  return withExamples(command, 'smoke', 'smoke --url http://127.0.0.1:3000/api/v1/orders');
}

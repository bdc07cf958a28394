import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Marketplace } from './marketplace';

const MOST_REPAIRS = 10;

/**
 * What an operator does when the broker's disk was full, before it is started again. It has written records half, would
 * append behind them, and may have delivered, and noted as delivered, a message that it never stored, whose number the
 * next one gets. So the indexes are made again from the messages, and how far the channels were heard is forgotten: all
 * of it is delivered again. No message that was acknowledged is given up.
 */
export function forgetWhatMayBeWrong({ disks }: Marketplace): void {
  const { folder } = disks.broker;
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.idx') || file.endsWith('subs.dat')) rmSync(join(folder, file));
  }
}

/** Starts the broker, and repairs what it complains of. Resolves to how often that was needed. */
export async function startBrokerAgain(marketplace: Marketplace): Promise<number> {
  for (let repairs = 0; ; repairs += 1) {
    try {
      await marketplace.broker.start();
      return repairs;
    } catch (error) {
      if (repairs === MOST_REPAIRS || !repair(marketplace)) throw error;
    }
  }
}

/** Whether the disk was full for the process that runs now, as far as it has said so. */
export function saysDiskIsFull({ brokerLog }: Marketplace): boolean {
  const log = readFileSync(brokerLog, 'utf8');
  return log.includes('no space left on device', log.lastIndexOf('Starting nats-streaming-server'));
}

/** Whether anything could be done about the last complaint. */
function repair({ brokerLog, disks, truncateBrokerOnce }: Marketplace): boolean {
  const complaint = lastComplaint(brokerLog);
  const [, channel] = /unable to recover subscription store for \[([\w:-]+)\]/.exec(complaint) ?? [];
  const [, file] = /unable to recover message store for \S+\(file: "([^"]+)"\)/.exec(complaint) ?? [];
  // An index is made again from the messages; a file without its first bytes never held any.
  const isNoLoss = file?.endsWith('.idx') || complaint.includes('unable to verify file version: EOF');
  // It cuts off half a record only where it is asked to, and never twice in a row.
  if (complaint.includes('opened consecutively')) return true;
  if (complaint.includes('unexpected EOF')) truncateBrokerOnce();
  else if (channel !== undefined) rmSync(join(disks.broker.folder, channel, 'subs.dat'));
  else if (file !== undefined && isNoLoss) rmSync(join(disks.broker.folder, file), { force: true });
  else return false;
  return true;
}

function lastComplaint(log: string): string {
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  return lines.findLast((line) => line.includes('[FTL]')) ?? '';
}

import type { FilterQuery } from 'mongoose';
import type { OpenNumberLook } from '../../application/ports';
import { allOf } from '../../application/schedule';
import { IS_OPEN, ORDER_FIELDS, toOrder, type Models, type OrderDocument } from './documents';

/** The index of the listing answers it: the index of open numbers also has all orders that are over. */
export function openOrdersOf(userId: string): FilterQuery<OrderDocument> {
  return { userId, ...IS_OPEN };
}

/** Orders that were placed without a limit have none. */
export function openNumbersOf(open: readonly Pick<OrderDocument, 'openNumber'>[]): number[] {
  return open.flatMap(({ openNumber }) => openNumber ?? []);
}

export async function lookAtOpenNumber(
  { orders }: Models,
  userId: string,
  number: number,
): Promise<OpenNumberLook> {
  const [latest, open] = await allOf([
    orders
      .findOne({ userId, openNumber: number }, { ...ORDER_FIELDS, openTurn: 1 })
      .sort({ openTurn: -1 })
      .readConcern('majority')
      .lean<OrderDocument>(),
    orders
      .find(openOrdersOf(userId), { openNumber: 1 })
      .readConcern('majority')
      .lean<Pick<OrderDocument, 'openNumber'>[]>(),
  ]);
  return {
    ...(latest ? { latest: { order: toOrder(latest), turn: Number(latest.openTurn) } } : {}),
    taken: openNumbersOf(open),
  };
}

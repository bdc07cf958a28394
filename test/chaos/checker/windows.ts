import type { StoredOrder } from '../history';
import {
  answeredAt,
  firstOfEach,
  isUnknown,
  keepFirst,
  toCampaignTime,
  toMs,
  type Call,
  type Evidence,
} from './evidence';

/** A moment that nobody saw: not before `from`, not after `to`, in milliseconds of the campaign. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

const NEVER: Window = { from: Infinity, to: Infinity };

/** Each replica estimates the database's time, and the campaign and the broker go by clocks of their own. */
export const CLOCK_TOLERANCE_MS = 500;

/** Within which time an order took its ticket, and let it go, as far as its buyer could see it. */
export type Windows = ReturnType<typeof createWindows>;

export function createWindows({ start, calls, channel }: Evidence) {
  /** Requests that may have made the order of a key: all but those that were refused. */
  const firstAsked = new Map<string, number>();
  /** Without an answer, by buyer and ticket. */
  const firstUnanswered = new Map<string, number>();
  const firstCancelAsked = new Map<string, number>();
  /** What an answer named was there by then. */
  const known = new Map<string, number>();
  const firstCancelled = new Map<string, number>();
  for (const call of calls) {
    const { asked, answer } = call;
    const { op, t, orderId } = asked;
    if (op === 'place') {
      const isKept = answer?.status === 201;
      if (isKept || isUnknown(call)) keepFirst(firstAsked, keyOf(call), t);
      if (isUnknown(call)) keepFirst(firstUnanswered, wishOf(asked.user, asked.ticketId), t);
      if (answer?.orderId !== undefined) keepFirst(known, answer.orderId, answer.t);
    } else if (orderId !== undefined && answer !== undefined && [200, 204, 409].includes(answer.status)) {
      keepFirst(known, orderId, answer.t);
    }
    if (op === 'cancel' && orderId !== undefined) {
      keepFirst(firstCancelAsked, orderId, t);
      if (answer?.status === 204) keepFirst(firstCancelled, orderId, answer.t);
    }
    if (orderId !== undefined && answer?.order?.status === 'cancelled') {
      keepFirst(firstCancelled, orderId, answer.t);
    }
  }
  const cancellations = firstOfEach(channel('order:cancelled'));
  const madeFrom = new Map<string, number>();
  const placedKeys = new Set<string>();
  for (const call of calls) {
    const { asked, answer } = call;
    if (asked.op !== 'place' || answer?.status !== 201 || answer.orderId === undefined) continue;
    keepFirst(madeFrom, answer.orderId, firstAsked.get(keyOf(call)) ?? asked.t);
    placedKeys.add(keyOf(call));
  }

  return {
    /** From Infinity on where nobody asked for it. */
    taken({ id, userId, ticketId }: StoredOrder): Window {
      const from = madeFrom.get(id) ?? firstUnanswered.get(wishOf(userId, ticketId)) ?? Infinity;
      return { from, to: known.get(id) ?? Infinity };
    },
    /** Whoever was answered or shown so, or hears it from the broker, knows that it was let go before. */
    letGo({ id, status, reason, expiresAt, outbox }: StoredOrder): Window {
      if (status !== 'cancelled') return NEVER;
      const from =
        reason === 'expired'
          ? toCampaignTime(start, expiresAt) - CLOCK_TOLERANCE_MS
          : (firstCancelAsked.get(id) ?? Infinity);
      const event = outbox.find(({ subject }) => subject === 'order:cancelled');
      const announced = cancellations.get(event?.data ?? '');
      const heard = announced ? toCampaignTime(start, new Date(toMs(announced.at))) : Infinity;
      return { from, to: Math.min(firstCancelled.get(id) ?? Infinity, heard + CLOCK_TOLERANCE_MS) };
    },
    /** Whether a 201 answered the request, or the same one asked again. */
    isPlaced: (call: Call): boolean => placedKeys.has(keyOf(call)),
  };
}

/**
 * The narrowest windows of moments that follow each other. There is an order of events that fits exactly if none of
 * them ends before it begins.
 */
export function narrow(windows: readonly Window[]): Window[] {
  const from = windows.map((window) => window.from);
  const to = windows.map((window) => window.to);
  for (let i = 1; i < from.length; i += 1) from[i] = Math.max(from[i]!, from[i - 1]!);
  for (let i = to.length - 2; i >= 0; i -= 1) to[i] = Math.min(to[i]!, to[i + 1]!);
  return from.map((earliest, i) => ({ from: earliest, to: to[i]! }));
}

export function callWindow(call: Call): Window {
  return { from: call.asked.t, to: answeredAt(call) };
}

/** A request without a key is repeated by nobody: it is the only one of its kind. */
export function keyOf({ asked: { call, user, key, ticketId } }: Call): string {
  return key === undefined ? `call ${call}` : JSON.stringify([user, key, ticketId]);
}

export function wishOf(user: string, ticketId: string | undefined): string {
  return JSON.stringify([user, ticketId]);
}

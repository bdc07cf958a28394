import { isOpen } from '../domain/order';
import { Unavailable, type Clock, type OpenTurn, type OrderStore } from './ports';

/**
 * Limits the open orders of a user. Each order has a number below the limit, and the orders of a user with the same
 * number take turns, as those of a ticket do: the next turn begins when the order before is certainly not open any
 * more. So at most one order of each number is open.
 */
export interface OpenNumbers {
  /** The turn to try first. Undefined if there is no limit. If it is taken, the insert tells what refuses the order. */
  first(userId: string): Promise<OpenTurn | undefined>;
  /** The turn to try next, at another number than the `taken` ones. Undefined if all of them are taken. */
  another(userId: string, taken: readonly number[]): Promise<OpenTurn | undefined>;
}

/** How many numbers one request may lose to others before its insert. */
const MOST_LOOKED_AT = 10;

/** @param deps.most how many open orders a user may have; 0: any number */
export function createOpenNumbers(deps: {
  orders: Pick<OrderStore, 'lookAtOpenNumber' | 'confirmReads'>;
  most: number;
  random: Clock['random'];
}): OpenNumbers {
  const { orders, most, random } = deps;

  /** Drawn, so that concurrent orders of one user do not all try the same one. */
  function anyBut(taken: readonly number[]): number | undefined {
    const free = Array.from({ length: most }, (_, number) => number).filter((n) => !taken.includes(n));
    return free[Math.floor(random() * free.length)];
  }

  async function turnAt(userId: string, first: number): Promise<OpenTurn> {
    let number = first;
    for (let looks = 0; looks < MOST_LOOKED_AT; looks += 1) {
      const { latest, taken } = await orders.lookAtOpenNumber(userId, number);
      if (!latest) return { number, turn: 0 };
      if (!isOpen(latest.order)) {
        // An end that a crash could still undo must not open the next turn.
        await orders.confirmReads();
        return { number, turn: latest.turn + 1 };
      }
      const other = anyBut(taken);
      if (other === undefined) return { number, turn: latest.turn };
      number = other;
    }
    throw new Unavailable(`user ${userId} places orders too often`);
  }

  async function another(userId: string, taken: readonly number[]): Promise<OpenTurn | undefined> {
    const number = anyBut(taken);
    return number === undefined ? undefined : turnAt(userId, number);
  }

  return { first: (userId) => another(userId, []), another };
}

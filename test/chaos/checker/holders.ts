import { addTo, answeredAt, isUnknown, type Call, type Evidence } from './evidence';
import type { Ledger } from './verdict';
import { callWindow, createWindows, narrow, type Window } from './windows';

/** A write is journalled within this time, however full or frozen the disk, or lost with a crash. */
const JOURNALLED_WITHIN_MS = 10_000;
/** From the question to the last attempt to write. */
const WRITTEN_WITHIN_MS = 15_000;

/**
 * I9: what buyers saw of each ticket fits one sequence of holders. The turns give the sequence: taken, let go, taken, and
 * so on; what was asked and answered gives each step a window. A refusal must fit in too: somebody held the ticket at
 * some moment between its question and its answer.
 */
export function checkHolders(evidence: Evidence, { rule, note }: Ledger): void {
  const takenInTurn = rule('I9', 'each order can have taken its ticket between its question and its answer');
  const letGoInTurn = rule('I9', 'each order can have let go of its ticket when it was told to, or later');
  const isHeld = rule('I9', 'a ticket that was refused can have been held by somebody');
  const windows = createWindows(evidence);
  const endedAt = evidence.end?.t ?? Infinity;
  const crashes = evidence.exits
    .filter(({ target, t }) => target === 'database' && t < endedAt)
    .map(({ t }) => t);
  const callsByTicket = new Map<string, Call[]>();
  for (const call of evidence.calls) {
    const { op, ticketId } = call.asked;
    if (op === 'place' && ticketId !== undefined) addTo(callsByTicket, ticketId, call);
  }
  let excused = 0;

  for (const ticketId of new Set([...evidence.turns.keys(), ...callsByTicket.keys()])) {
    const orders = evidence.turns.get(ticketId) ?? [];
    const steps = narrow(orders.flatMap((order) => [windows.taken(order), windows.letGo(order)]));
    orders.forEach(({ id, turn, status }, i) => {
      const taken = steps[2 * i]!;
      const letGo = steps[2 * i + 1]!;
      const name = `order ${id}, turn ${turn} of ticket ${ticketId},`;
      takenInTurn(fits(taken) && taken.from < Infinity, () => `${name} was taken ${tell(taken)}`);
      const wasTold = status !== 'cancelled' || letGo.from < Infinity;
      letGoInTurn(fits(letGo) && wasTold, () => `${name} was let go ${tell(letGo)}`);
    });

    const calls = callsByTicket.get(ticketId) ?? [];
    const refusals = calls.filter(({ answer }) => answer?.status === 409);
    if (refusals.length === 0) continue;
    const free = gaps(steps);
    const mayBeLost = calls.filter((call) => !windows.isPlaced(call));
    for (const refusal of refusals) {
      const window = callWindow(refusal);
      const gap = free.find(({ from, to }) => from < window.from && window.to < to);
      const isExcused = gap !== undefined && mayHaveSeenWhatWasLost(refusal, mayBeLost, crashes);
      if (isExcused) excused += 1;
      isHeld(
        gap === undefined || isExcused,
        () => `call ${refusal.asked.call}, ${tell(window)}, ticket ${ticketId} was free ${tell(gap!)}`,
      );
    }
  }
  note('refusals that only an order that was lost can explain', excused);
}

function fits({ from, to }: Window): boolean {
  return from <= to;
}

/** When the ticket was free for certain: longer, if some moments are chosen otherwise, but never shorter. */
function gaps(steps: readonly Window[]): Window[] {
  const free: Window[] = [];
  for (let i = 0; i <= steps.length; i += 2) {
    const letGo = steps[i - 1]?.to ?? -Infinity;
    const taken = steps[i]?.from ?? Infinity;
    if (letGo < taken) free.push({ from: letGo, to: taken });
  }
  return free;
}

/**
 * A read may show an order that the database then loses in a crash, for it was not journalled. It was written by a request
 * that was asked before, not long before, and was not answered until the crash: it is placed again or refused after that,
 * or its outcome stays unknown. Not one that was placed, then or when it was asked again: its order is there.
 */
function mayHaveSeenWhatWasLost(
  refusal: Call,
  mayBeLost: readonly Call[],
  crashes: readonly number[],
): boolean {
  const { from, to } = callWindow(refusal);
  return crashes.some((crash) => {
    if (!(from < crash && crash < to + JOURNALLED_WITHIN_MS)) return false;
    return mayBeLost.some(
      (other) =>
        other !== refusal &&
        crash - JOURNALLED_WITHIN_MS - WRITTEN_WITHIN_MS < other.asked.t &&
        other.asked.t < Math.min(to, crash) &&
        (isUnknown(other) || answeredAt(other) > crash),
    );
  });
}

function tell({ from, to }: Window): string {
  return `from ${from} to ${to} ms`;
}

import type { HistoryLine, Remains } from '../history';
import { checkAnswers } from './answers';
import { checkConvergence } from './convergence';
import { checkDeadLetters } from './dead-letters';
import { checkEndurance } from './endurance';
import { gather } from './evidence';
import { checkEvents } from './events';
import { checkHolders } from './holders';
import { checkOrigins } from './origins';
import { checkOwnership } from './ownership';
import { checkPayments } from './payments';
import { checkStates } from './states';
import { createLedger, type Verdict } from './verdict';

/** Says of each invariant how much of it was looked at, and what broke it. */
export function check(
  history: Iterable<HistoryLine>,
  remains: Remains,
  limits: { readonly convergenceMs: number },
): Verdict {
  const evidence = gather(history, remains);
  const ledger = createLedger();
  checkOwnership(evidence, ledger);
  checkEvents(evidence, ledger);
  checkAnswers(evidence, ledger);
  checkStates(evidence, ledger);
  checkPayments(evidence, ledger);
  checkConvergence(evidence, ledger, limits);
  checkOrigins(evidence, ledger);
  checkHolders(evidence, ledger);
  checkDeadLetters(evidence, ledger);
  checkEndurance(evidence, ledger);
  return ledger.verdict();
}

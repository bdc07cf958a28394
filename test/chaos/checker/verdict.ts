import type { Fact } from '../../invariants/payments';

/** What was found out about one rule. */
export interface Result {
  /** `I1` to `I12`; several rules may belong to one invariant. */
  readonly invariant: string;
  readonly title: string;
  /** How many facts were looked at, each of which could have broken the rule. */
  readonly checked: number;
  /** The first ones. */
  readonly violations: readonly string[];
  /** All of them. */
  readonly violated: number;
}

export interface Verdict {
  readonly results: readonly Result[];
  /** What is worth knowing and is no fact about a rule. */
  readonly notes: readonly { readonly what: string; readonly count: number }[];
}

export type Ledger = ReturnType<typeof createLedger>;

const VIOLATIONS_TOLD = 20;

/** Where the checkers write down what they look at. */
export function createLedger() {
  const results: (Result & { checked: number; violated: number; violations: string[] })[] = [];
  const notes = new Map<string, number>();

  return {
    rule(invariant: string, title: string): Fact {
      const result = { invariant, title, checked: 0, violated: 0, violations: [] as string[] };
      results.push(result);
      return (holds, detail) => {
        result.checked += 1;
        if (holds) return;
        result.violated += 1;
        if (result.violations.length < VIOLATIONS_TOLD) result.violations.push(detail());
      };
    },
    note(what: string, count: number): void {
      notes.set(what, (notes.get(what) ?? 0) + count);
    },
    verdict: (): Verdict => ({ results, notes: [...notes].map(([what, count]) => ({ what, count })) }),
  };
}

/** Over all rules. */
export function total({ results }: Verdict, what: 'checked' | 'violated'): number {
  return results.reduce((sum, result) => sum + result[what], 0);
}

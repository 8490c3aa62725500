// The condition BaselineComplete of an AuditPolicy: whether the rows that existed when auditing began are sealed.
import type { ConditionUpdate } from '../model/condition.ts';
import type { BaselineStatus } from '../ports/audit-runtime.ts';

const type = 'BaselineComplete';

/** Options for `readinessConditions`; the condition is absent where no baseline is asked for. */
export function baselineCondition(baseline: BaselineStatus | undefined): { readonly others: readonly ConditionUpdate[]; readonly clear: readonly string[] } {
  if (baseline === undefined) return { others: [], clear: [type] };
  const { tables, complete, rows, problem } = baseline;
  if (problem !== undefined) return { others: [{ type, status: 'False', reason: problem.code, message: problem.describe() }], clear: [] };
  if (complete < tables) {
    return { others: [{ type, status: 'False', reason: 'Reading', message: `${complete} of ${tables} tables are sealed as they were, ${rows} rows so far` }], clear: [] };
  }
  return { others: [{ type, status: 'True', reason: 'Sealed', message: `the rows of ${tables} tables are sealed as they were` }], clear: [] };
}

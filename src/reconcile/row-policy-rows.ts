// How many rows each role gains and loses by a plan that waits for somebody: counted once a plan, since whoever approves wants consequences.
import { describeError } from '../model/errors.ts';
import type { RowPolicyStatus } from '../model/kinds.ts';
import type { PolicyDatabase, RowChange, RowCountRequest } from '../ports/policy-database.ts';
import type { RowPolicyContext } from './row-policy-report.ts';
import { rehearsalRefusal } from './row-policy-tests.ts';

type PlanStatus = NonNullable<RowPolicyStatus['plan']>;

const maxChanges = 64;
const maxSentences = 16;
const maxSentenceLength = 512;

/** The plan's status with its row counts; those of the last look where it is the same plan. */
export async function withRowCounts(context: RowPolicyContext, { database, plan, request }: { readonly database: PolicyDatabase; readonly plan: PlanStatus; readonly request: RowCountRequest }): Promise<PlanStatus> {
  const { policy, options, signal } = context;
  if (plan.total === 0) return plan;
  const refusal = await rehearsalRefusal(context, request);
  if (refusal !== undefined) return { ...plan, rows: [], notCounted: [refusal.message.slice(0, maxSentenceLength)] };
  const before = policy.status.plan;
  if (before?.digest === plan.digest && before.rows !== undefined) {
    return { ...plan, rows: before.rows, ...(before.notCounted === undefined ? {} : { notCounted: before.notCounted }) };
  }
  try {
    const { changes, notCounted } = await database.countRows(request, signal);
    const rows = [...changes].sort((a, b) => weight(b) - weight(a)).slice(0, maxChanges);
    const left = notCounted.slice(0, maxSentences).map((sentence) => sentence.slice(0, maxSentenceLength));
    return { ...plan, rows, ...(left.length === 0 ? {} : { notCounted: left }) };
  } catch (error) {
    signal.throwIfAborted();
    options.logger.warn({ rowPolicy: request.plan.owner, error: describeError(error) }, 'the rows of a plan were not counted');
    return { ...plan, rows: [], notCounted: [`not counted: ${describeError(error)}`.slice(0, maxSentenceLength)] };
  }
}

/** What changes something comes first; the sort is stable. */
function weight({ gained, lost }: RowChange): number {
  return gained + lost;
}

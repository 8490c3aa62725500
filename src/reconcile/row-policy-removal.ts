// What deleting a RowPolicy does: nothing, close, or restore; a finalizer waits only where something must be done (DESIGN §3, Deletion).
import { describeError, RowsealError } from '../model/errors.ts';
import { describeObject } from '../model/kinds.ts';
import { planDeletion } from '../policy/deletion.ts';
import { ownerOf } from '../policy/desired.ts';
import type { ReconcileOutcome } from './reconciler.ts';
import { pollMs, reportFailure, type RowPolicyContext } from './row-policy-report.ts';
import { requireDatabase, requireWiden } from './row-policy-scope.ts';
import { policyFailure } from './row-policy-status.ts';

const abandonAnnotation = 'rowseal.dev/abandon';
const maxReplans = 5;

/** Lets the object go once the database is as its deletionPolicy says; until then a condition says what it waits for. */
export async function removeRowPolicy(context: RowPolicyContext): Promise<ReconcileOutcome> {
  const { policy, options, signal } = context;
  const deletion = policy.spec.deletionPolicy ?? 'Retain';
  if (deletion !== 'Retain' && policy.metadata.annotations[abandonAnnotation] === undefined) {
    try {
      await undo(context, deletion);
    } catch (error) {
      if (signal.aborted) throw error;
      const { reason } = policyFailure(error);
      const message = `deletionPolicy ${deletion} is not carried out yet: ${describeError(error)}; annotate ${abandonAnnotation} to let the object go and leave the database as it is`;
      await reportFailure(context, { state: 'reconciling', reason, message });
      return { requeueAfterMs: pollMs };
    }
  }
  // If we die before the finalizer is gone, the restart plans the deletion again and finds nothing left to do.
  await options.cluster.setFinalizer(policy, false, signal);
  return {};
}

async function undo({ policy, options, signal }: RowPolicyContext, deletion: 'FailClosed' | 'Restore'): Promise<void> {
  const database = requireDatabase(policy, options.cluster, options.databases).policies;
  for (let attempt = 1; attempt <= maxReplans; attempt += 1) {
    const observation = await database.observe({ owner: ownerOf(policy.metadata), tables: [], roles: [] }, signal);
    const plan = planDeletion(ownerOf(policy.metadata), deletion, observation);
    if (plan.steps.length === 0) return;
    if (plan.steps.some((step) => step.widening)) await requireWiden(policy, { cluster: options.cluster, signal });
    await database.install(signal);
    if ((await database.apply(plan, signal)) === 'Applied') return;
  }
  throw new RowsealError('DatabaseConflict', 'the tables keep changing', { object: describeObject('RowPolicy', policy.metadata), next: 'it is tried again', retryable: true });
}

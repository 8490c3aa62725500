// What deleting a RowPolicy does: nothing, close, or restore; a finalizer waits only where something must be done (DESIGN §3, Deletion).
import { abandonAnnotation } from '../model/annotations.ts';
import { describeError, RowsealError } from '../model/errors.ts';
import { describeObject } from '../model/kinds.ts';
import { approvalDigest } from '../policy/approval.ts';
import { planDeletion } from '../policy/deletion.ts';
import { desiredFrom, noNeighbours, ownerOf } from '../policy/desired.ts';
import { resolveTables } from '../policy/resolve.ts';
import { hasWork } from '../policy/step.ts';
import type { ReconcileOutcome } from './reconciler.ts';
import type { Readiness } from './readiness.ts';
import { leaveFor } from './row-policy-leave.ts';
import { type Outcome, pollMs, reportFailure, type RowPolicyContext } from './row-policy-report.ts';
import { contributorsOf, databaseKeyOf, neighboursOf, requireDatabase, sharingWith, widenRefusal } from './row-policy-scope.ts';
import { planStatus, policyFailure } from './row-policy-status.ts';
import type { Settling } from './settling.ts';

const maxRounds = 8;

/** Lets the object go once the database is as its deletionPolicy says; until then a condition says what it waits for. */
export async function removeRowPolicy(context: RowPolicyContext, settling: Settling): Promise<ReconcileOutcome> {
  const { policy, options, signal } = context;
  const deletion = policy.spec.deletionPolicy ?? 'Retain';
  if (deletion !== 'Retain' && policy.metadata.annotations[abandonAnnotation] === undefined) {
    try {
      const waiting = await undo({ ...context, settling }, deletion);
      if (waiting !== undefined) return { requeueAfterMs: Math.min(pollMs, waiting.againInMs ?? pollMs) };
    } catch (error) {
      if (signal.aborted) throw error;
      await reportFailure(context, stillThere(deletion, policyFailure(error).reason, describeError(error)));
      return { requeueAfterMs: pollMs };
    }
  }
  // If we die before the finalizer is gone, the restart plans the deletion again and finds nothing left to do.
  await options.cluster.setFinalizer(policy, false, signal);
  return {};
}

/** Undefined once the database is as the deletionPolicy says. Bringing back what was before widens, so it may have to wait. */
async function undo(context: RowPolicyContext & { readonly settling: Settling }, deletion: 'FailClosed' | 'Restore'): Promise<Outcome | undefined> {
  const { policy, options, signal, settling } = context;
  const { cluster, databases } = options;
  const { policies: database, facts } = requireDatabase(policy, cluster, databases);
  const contributors = () => contributorsOf(databaseKeyOf(policy), cluster);
  const declared = desiredFrom(policy.metadata, policy.spec);
  for (let round = 1; round <= maxRounds; round += 1) {
    const observation = await database.observe({ owner: ownerOf(policy.metadata), target: policy.spec.target, tables: [], roles: [] }, signal);
    const { governed } = neighboursOf(await sharingWith(policy, observation, { cluster, signal }));
    const plan = planDeletion(ownerOf(policy.metadata), deletion, observation, governed);
    if (!hasWork(plan)) return undefined;
    const digest = approvalDigest(plan, policy.spec, observation, facts);
    const leave = await leaveFor({ policy, plan, observation, digest, settling, contributors, approval: () => cluster.approval(policy, signal), widenRefusal: () => widenRefusal(policy, { desired: resolveTables(declared, observation, noNeighbours), observation, plan }, { cluster, signal }) });
    if (!hasWork(leave.portion) && leave.waiting !== undefined) {
      const { reason, message } = leave.waiting.readiness;
      await reportFailure(context, stillThere(deletion, reason, message), { plan: planStatus(digest, database.render(plan.steps)) });
      return leave.waiting;
    }
    await database.install(signal);
    await database.apply(leave.portion, signal);
  }
  throw new RowsealError('DatabaseConflict', 'the tables keep changing', { object: describeObject('RowPolicy', policy.metadata), next: 'it is tried again', retryable: true });
}

function stillThere(deletion: string, reason: string, why: string): Readiness {
  const message = `deletionPolicy ${deletion} is not carried out yet: ${why}; annotate ${abandonAnnotation} to let the object go and leave the database as it is`;
  return { state: 'reconciling', reason, message };
}

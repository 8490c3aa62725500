// Which part of a plan may be applied now, and what the rest waits for: an approval, or that everybody is done declaring (DESIGN §3).
import { approveAnnotation, approvedByAnnotation } from '../model/annotations.ts';
import type { RowsealError } from '../model/errors.ts';
import type { Resource } from '../model/kinds.ts';
import { tableOf } from '../policy/plan-order.ts';
import { needsNoLeave, portionOf } from '../policy/portion.ts';
import { type Observation, observedOwner } from '../policy/observed.ts';
import { ownerOf } from '../policy/desired.ts';
import { type Pending, pendingOf } from '../policy/pending.ts';
import { rootFinder } from '../policy/resolve.ts';
import type { Target } from '../policy/target.ts';
import type { Plan, Step } from '../policy/step.ts';
import { tableKey } from '../policy/table-name.ts';
import type { Approval } from '../ports/cluster.ts';
import type { Readiness } from './readiness.ts';
import { contributorOf } from './row-policy-scope.ts';
import { policyFailure } from './row-policy-status.ts';
import type { Contributor, Settling } from './settling.ts';

/** How soon others are looked at again whom one waits for. */
const lookAgainMs = 1_000;

export interface Leave {
  /** What may be applied now; perhaps without steps. */
  readonly portion: Plan;
  /** Who approved what is applied now. */
  readonly approvedBy?: string;
  /** What the other steps wait for; undefined when there are none. */
  readonly waiting?: Waiting;
}

interface Waiting {
  readonly readiness: Readiness;
  /** When to look again, before the next poll. */
  readonly againInMs?: number;
}

export interface LeaveRequest {
  readonly policy: Resource<'RowPolicy'>;
  readonly plan: Plan;
  /** What the plan was made from. */
  readonly observation: Observation;
  /** The digest that an approval of this plan names. */
  readonly digest: string;
  readonly settling: Settling;
  /** All RowPolicies of the database as they are declared now. */
  readonly contributors: () => readonly Contributor[];
  /** Asked only when the plan needs one. */
  readonly approval: () => Promise<Approval>;
  /** Why widening is not granted; asked only when the plan widens. */
  readonly widenRefusal: () => Promise<RowsealError | undefined>;
}

export async function leaveFor({ policy, plan, observation, digest, settling, contributors, approval, widenRefusal }: LeaveRequest): Promise<Leave> {
  const widens = !plan.steps.every(needsNoLeave);
  if (widens) settling.look(contributors());
  else settling.lookNowAndThen(contributors);
  const pending = pendingOf(plan);
  settling.report(contributorOf(policy), pending);
  const { settledInMs, ahead } = !widens ? { settledInMs: 0, ahead: [] } : othersOf({ id: ownerOf(policy.metadata), pending }, { plan, observation, settling });
  const refused = widens ? await widenRefusal() : undefined;
  const asking = plan.steps.filter((step) => needsApproval(step, policy));
  const given: Approval = asking.length === 0 ? { kind: 'None' } : await approval();
  const approved = given.kind === 'Approved' && given.digest === digest;
  const admitted = (step: Step) => (approved || !needsApproval(step, policy)) && (needsNoLeave(step) || (settledInMs <= 0 && ahead.length === 0 && refused === undefined));
  const portion = portionOf(plan, admitted);
  const by = approved ? { approvedBy: given.by } : {};
  if (portion === plan) return { portion, ...by };
  if (refused !== undefined) return { portion, ...by, waiting: { readiness: policyFailure(refused) } };
  if (!approved && asking.length > 0) return { portion, waiting: { readiness: unapproved({ policy, digest, count: asking.length }, given) } };
  return { portion, ...by, waiting: settlingOf(settledInMs, ahead) };
}

function settlingOf(settledInMs: number, ahead: readonly string[]): Waiting {
  const message =
    settledInMs > 0
      ? 'widening statements wait until every RowPolicy of the tables has been left unchanged for 5 s'
      : `widening statements wait until what ${ahead.join(', ')} changes on the same tables is in force: see ${ahead.length === 1 ? 'its' : 'their'} conditions`;
  return { readiness: { state: 'reconciling', reason: 'Settling', message }, againInMs: Math.max(settledInMs, lookAgainMs) };
}

interface Situation {
  readonly plan: Plan;
  readonly observation: Observation;
  readonly settling: Settling;
}

/** Who has a say on the tables that are widened: by target, or by a policy that is still there. Repairs wait for nobody. */
function othersOf(own: { readonly id: string; readonly pending: Pending }, { plan, observation: { tables }, settling }: Situation): { settledInMs: number; ahead: readonly string[] } {
  const widened = plan.steps.filter((step) => !needsNoLeave(step)).map(({ operation }) => tableOf(operation));
  const names = new Set(widened.filter((table) => table !== undefined).map(tableKey));
  const affected = tables.filter((table) => names.has(tableKey(table.table)));
  const owners = new Set(affected.flatMap((table) => table.policies.map(observedOwner)));
  const means = (target: Target): boolean => {
    const rootOf = rootFinder(target, tables);
    return affected.some((table) => rootOf(table) !== undefined);
  };
  return { settledInMs: settling.remainingMs(means), ahead: settling.ahead(own, ({ id, target }) => owners.has(id) || means(target)) };
}

/** A repair brings back what was admitted once; it asks nobody. */
function needsApproval(step: Step, { spec }: Resource<'RowPolicy'>): boolean {
  switch (spec.approval ?? 'WhenWidening') {
    case 'Automatic':
      return false;
    case 'WhenWidening':
      return !needsNoLeave(step);
    case 'Always':
      return step.mends !== true;
  }
}

interface Asking {
  readonly policy: Resource<'RowPolicy'>;
  readonly digest: string;
  readonly count: number;
}

function unapproved({ policy, digest, count }: Asking, given: Approval): Readiness {
  const what = `${count === 1 ? 'a statement' : `${count} statements`} of plan ${digest}`;
  if (given.kind === 'Unavailable') {
    const message = `${what} would need an approval, but ${given.why}, so that anybody could approve — apply deploy/admission/approval.yaml, or set approval: Automatic`;
    return { state: 'stalled', reason: 'ApprovalUnavailable', message };
  }
  const { name, namespace } = policy.metadata;
  const other = given.kind === 'Approved' ? `; the approval by ${given.by} is for another plan` : '';
  const how = `kubectl annotate -n ${namespace} rowpolicy ${name} --overwrite ${approveAnnotation}=${digest} ${approvedByAnnotation}=YOU, or without Kubernetes: rowseal approve`;
  return { state: 'stalled', reason: 'ApprovalRequired', message: `${what} wait${count === 1 ? 's' : ''} for an approval${other} — read status.plan, then ${how}` };
}

// What a plan still has in store, as far as others who govern the same tables have to know it before they widen.
import { needsNoLeave, policyKey, portionOf } from './portion.ts';
import type { Plan, Step } from './step.ts';

/**
 * Narrowing: something can be taken away at once. Exchange: a policy takes another form that is not provably narrower, so
 * that it takes and gives in one step. Loosening: an exchange that also takes a restrictive policy or a flag away. Widening:
 * only more is given. Nothing: it is as declared.
 */
export type Pending = 'Narrowing' | 'Exchange' | 'Loosening' | 'Widening' | 'Nothing';

export function pendingOf(plan: Plan): Pending {
  if (plan.steps.length === 0) return 'Nothing';
  if (portionOf(plan, needsNoLeave).steps.length > 0) return 'Narrowing';
  if (!isExchange(plan)) return 'Widening';
  return plan.steps.some(loosens) ? 'Loosening' : 'Exchange';
}

/** Whether the step lets through what held back every permissive policy, those of others included. */
function loosens({ operation, widening }: Step): boolean {
  if (!widening) return false;
  return 'policy' in operation ? operation.policy.as === 'Restrictive' : operation.kind !== 'CreateFunction';
}

function isExchange({ steps, leaving }: Plan): boolean {
  // What an owner that leaves takes and brings back goes together.
  if (leaving) return steps.some((step) => step.widening) && steps.some((step) => !step.widening);
  const dropped = new Set(steps.filter(({ operation }) => operation.kind === 'DropPolicy').map(({ operation }) => policyKey(operation)));
  return steps.some(({ operation }) => operation.kind === 'AlterPolicy' || (operation.kind === 'CreatePolicy' && dropped.has(policyKey(operation))));
}

/**
 * Whether one who has this in store may widen before another who has that, so that no mixture of old and new is ever wider
 * than both: first everybody's narrowing, then permissive policies take their new form, and what held the old ones back goes
 * after that. Of several of one kind one comes after the other.
 */
export function mayWidenBefore(own: { readonly id: string; readonly pending: Pending }, other: { readonly id: string; readonly pending: Pending | undefined }): boolean {
  switch (other.pending) {
    case undefined:
    case 'Narrowing':
      return false;
    case 'Exchange':
      return own.pending === 'Exchange' && own.id < other.id;
    case 'Loosening':
      return own.pending === 'Exchange' || (own.pending === 'Loosening' && own.id < other.id);
    case 'Widening':
    case 'Nothing':
      return true;
  }
}

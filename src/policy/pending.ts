// What a plan still has in store, as far as others who govern the same tables have to know it before they widen.
import { needsNoLeave, policyKey, portionOf } from './portion.ts';
import type { Plan } from './step.ts';

/**
 * Narrowing: something can be taken away at once. Exchange: a policy takes another form that is not provably narrower, so
 * that it takes and gives in one step. Widening: only more is given. Nothing: it is as declared.
 */
export type Pending = 'Narrowing' | 'Exchange' | 'Widening' | 'Nothing';

export function pendingOf(plan: Plan): Pending {
  if (plan.steps.length === 0) return 'Nothing';
  if (portionOf(plan, needsNoLeave).steps.length > 0) return 'Narrowing';
  return isExchange(plan) ? 'Exchange' : 'Widening';
}

function isExchange({ steps, leaving }: Plan): boolean {
  // What an owner that leaves takes and brings back goes together.
  if (leaving) return steps.some((step) => step.widening) && steps.some((step) => !step.widening);
  const dropped = new Set(steps.filter(({ operation }) => operation.kind === 'DropPolicy').map(({ operation }) => policyKey(operation)));
  return steps.some(({ operation }) => operation.kind === 'AlterPolicy' || (operation.kind === 'CreatePolicy' && dropped.has(policyKey(operation))));
}

/**
 * Whether one who has this in store may widen before another who has that. Everybody's narrowing comes first, so that no
 * mixture of old and new is ever wider than both; of several exchanges one comes after the other.
 */
export function mayWidenBefore(own: { readonly id: string; readonly pending: Pending }, other: { readonly id: string; readonly pending: Pending | undefined }): boolean {
  switch (other.pending) {
    case undefined:
    case 'Narrowing':
      return false;
    case 'Exchange':
      return own.pending === 'Exchange' && own.id < other.id;
    case 'Widening':
    case 'Nothing':
      return true;
  }
}

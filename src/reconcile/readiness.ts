// The conditions Ready, Reconciling and Stalled as kstatus reads them: one state, three conditions.
import { type ConditionUpdate, findCondition, withConditions } from '../model/condition.ts';
import { RowsealError, toRowsealError } from '../model/errors.ts';
import type { Condition, Resource } from '../model/kinds.ts';

export interface Readiness {
  /** `stalled`: nothing will change until somebody acts; `reconciling`: we are still trying. */
  readonly state: 'ready' | 'reconciling' | 'stalled';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

const stateConditions = ['Reconciling', 'Stalled'] as const;

/** The resource's conditions with `readiness` and `others` in them; Reconciling and Stalled are present only while true. */
export function readinessConditions(
  resource: Resource,
  readiness: Readiness,
  options: { readonly now: Date; readonly others?: readonly ConditionUpdate[]; readonly clear?: readonly string[] },
): Condition[] {
  const { state, reason, message } = readiness;
  const updates: ConditionUpdate[] = [{ type: 'Ready', status: state === 'ready' ? 'True' : 'False', reason, message }];
  if (state === 'reconciling') updates.push({ type: 'Reconciling', status: 'True', reason, message });
  if (state === 'stalled') updates.push({ type: 'Stalled', status: 'True', reason, message });
  const present = new Set(updates.map((update) => update.type));
  return [
    ...withConditions(resource.status.conditions, [...updates, ...(options.others ?? [])], {
      now: options.now.toISOString(),
      generation: resource.metadata.generation,
      clear: [...stateConditions.filter((type) => !present.has(type)), ...(options.clear ?? [])],
    }),
  ];
}

/** What went wrong as a readiness: retryable errors are still being tried, others wait for somebody. */
export function readinessOfError(error: unknown, reason?: string): Readiness {
  const failure = toRowsealError(error, 'BadReference');
  return {
    state: failure.retryable ? 'reconciling' : 'stalled',
    reason: reason ?? failure.code,
    message: error instanceof RowsealError ? error.describe() : failure.message,
  };
}

/** Whether the Ready condition says this already; what was said once needs no further Event. */
export function isSaidAlready(resource: Resource, { reason, message }: Readiness): boolean {
  const ready = findCondition(resource.status.conditions, 'Ready');
  return ready?.reason === reason && ready.message === message;
}

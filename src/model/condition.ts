// Conditions as values: setting one keeps its transition time unless its status changes (metav1.Condition's rule).
import type { Condition } from './kinds.ts';

export type ConditionUpdate = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>;

/** The conditions after `updates`, in a stable order; `now` is RFC 3339. Types listed in `clear` are dropped. */
export function withConditions(
  current: readonly Condition[] | undefined,
  updates: readonly ConditionUpdate[],
  options: { readonly now: string; readonly generation: number; readonly clear?: readonly string[] },
): readonly Condition[] {
  const byType = new Map((current ?? []).map((condition) => [condition.type, condition]));
  for (const type of options.clear ?? []) byType.delete(type);
  for (const update of updates) {
    const before = byType.get(update.type);
    byType.set(update.type, {
      ...update,
      observedGeneration: options.generation,
      lastTransitionTime: before?.status === update.status ? before.lastTransitionTime : options.now,
    });
  }
  return [...byType.values()].sort((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0));
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

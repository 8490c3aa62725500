// Which change of an object is worth a look: everything somebody declared, and of the status only how conditions stand.
import type { Condition, Resource } from './kinds.ts';

/**
 * True when the declared part differs, or a condition's status or reason. Counters and messages alone are not: we write them
 * ourselves, and waking up for each would be a loop.
 */
export function isNoteworthy(before: Resource | undefined, after: Resource | undefined): boolean {
  if (before === undefined || after === undefined) return before !== after;
  return declared(before) !== declared(after) || standing(before) !== standing(after);
}

function declared({ metadata }: Resource): string {
  const annotations = Object.entries(metadata.annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([metadata.uid, metadata.generation, metadata.deletionTimestamp, metadata.finalizers, annotations]);
}

function standing({ status }: Resource): string {
  const conditions: readonly Condition[] = status.conditions ?? [];
  return JSON.stringify(conditions.map(({ type, status: holds, reason }) => [type, holds, reason]));
}

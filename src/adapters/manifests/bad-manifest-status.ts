// How a status looks while the manifest on disk is refused and the last good one stays in force, and once it is mended.
import { withConditions } from '../../model/condition.ts';
import type { RowsealError } from '../../model/errors.ts';
import type { Condition } from '../../model/kinds.ts';

const reason = 'BadManifest';
const maxMessageLength = 4096;

interface Status {
  readonly conditions?: readonly Condition[];
}

export interface Refusal {
  readonly error: RowsealError;
  readonly generation: number;
  /** RFC 3339. */
  readonly now: string;
}

/** Whatever a controller said of the last good spec, what stands on disk is not in force. */
export function refusedStatus<S extends object>(status: S, { error, generation, now }: Refusal): S {
  const message = error.describe().slice(0, maxMessageLength);
  const conditions = withConditions(
    conditionsOf(status),
    [
      { type: 'Ready', status: 'False', reason, message },
      { type: 'Stalled', status: 'True', reason, message },
    ],
    { now, generation, clear: ['Reconciling'] },
  );
  return { ...status, conditions };
}

/** The same object when there is nothing to mend. Ready is left to the controller, which looks again now. */
export function mendedStatus<S extends object>(status: S): S {
  const conditions = conditionsOf(status);
  const kept = conditions.filter((condition) => !(condition.type === 'Stalled' && condition.reason === reason));
  return kept.length === conditions.length ? status : { ...status, conditions: kept };
}

function conditionsOf(status: object): readonly Condition[] {
  return (status as Status).conditions ?? [];
}

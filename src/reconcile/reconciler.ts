// What the work queue runs: one reconciler a kind, level-based, from a key to the whole state.
import type { KindName, ObjectKey } from '../model/kinds.ts';

export interface ReconcileOutcome {
  /** Look again after this time even if no event comes. */
  readonly requeueAfterMs?: number;
}

export interface Reconciler {
  readonly kind: KindName;
  /** A thrown error is logged and retried with backoff; what a person should know goes into the object's conditions first. */
  reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileOutcome>;
}

// What is counted for whoever watches Rowseal at work.
import type { ObjectKey } from '../model/kinds.ts';

interface CaptureFigures {
  /** WAL between the server and what is sealed. */
  readonly lagBytes: number;
  readonly lagSeconds: number;
  /** Sealed since the log began. */
  readonly gaps: number;
  readonly retention?: { readonly retainedBytes: number };
}

export interface Metrics {
  /** Tables of a RowPolicy that were found changed by somebody else, and mended. */
  drifted(policy: ObjectKey, tables: number): void;
  /** Statements that were applied for a RowPolicy. */
  applied(policy: ObjectKey, statements: number): void;
  /** How an AuditPolicy's capture stands; undefined once the policy is gone. */
  captured(policy: ObjectKey, status: CaptureFigures | undefined): void;
}

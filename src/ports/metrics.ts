// What is counted for whoever watches Rowseal at work.
import type { ObjectKey } from '../model/kinds.ts';

export interface Metrics {
  /** Tables of a RowPolicy that were found changed by somebody else, and mended. */
  drifted(policy: ObjectKey, tables: number): void;
  /** Statements that were applied for a RowPolicy. */
  applied(policy: ObjectKey, statements: number): void;
}

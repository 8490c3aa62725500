// The rows of a database as they were at one point of its WAL, for baselines and for comparing with the log (DESIGN §5, Baseline).
import type { ColumnTreatment } from '../model/audited-columns.ts';
import type { Lsn } from '../model/branded.ts';
import type { AuditSettings } from './audit-settings.ts';
import type { RelationShape } from './relation-shape.ts';

/** A table that holds rows itself: declared, or a leaf of a declared partitioned table. */
export interface SnapshotTable {
  /** Indices of the declared tables that it is, or is a leaf of. */
  readonly declared: readonly number[];
  /** Columns and identity as the stream describes them. */
  readonly shape: RelationShape;
  /** Columns of the primary key, sorted; empty without one. */
  readonly key: readonly string[];
  /** By position, where values are not recorded as they are. */
  readonly treatments?: readonly (ColumnTreatment | undefined)[];
}

/** Canonical JSON, in the form of the stream's rows. */
export interface SnapshotRow {
  readonly row: string;
  /** Undefined without a primary key and without an identity of some columns. */
  readonly key: string | undefined;
}

export interface Snapshot {
  /** What was committed before it is visible, and nothing else: a transaction's commit record that starts at or after it comes later. */
  readonly lsn: Lsn;
  /** Those of the declared tables that exist. */
  tables(settings: Pick<AuditSettings, 'tables' | 'hashKeys'>, signal: AbortSignal): Promise<readonly SnapshotTable[]>;
  /**
   * All rows, in chunks that fit memory; reading slowly holds the server back. Ends early by leaving the loop, after which the
   * snapshot is closed. Throws SnapshotOutdated when the table was truncated, rewritten, or dropped since, DatabasePrivilege
   * when row-level security would hide rows, WaitingForLock.
   */
  rows(table: SnapshotTable, signal: AbortSignal): AsyncIterable<readonly SnapshotRow[]>;
  close(): Promise<void>;
}

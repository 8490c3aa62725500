// What the AuditPolicies of one database and one log declare together.

import type { ReadSettings } from './server-log.ts';
import type { DeclaredColumn, HashKeys } from '../model/audited-columns.ts';

/** A table as an AuditPolicy declares it. */
export interface AuditedTable {
  readonly schema: string;
  readonly table: string;
  readonly operations: readonly ('Insert' | 'Update' | 'Delete' | 'Truncate')[];
  /** Whether the rows that exist when auditing begins are sealed. */
  readonly baseline?: true;
  /** Rows belong to what the transaction says of itself, without any trigger; to their statement when left out. */
  readonly context?: 'Transaction';
  /** Columns whose values are not recorded as they are, by name; each once. */
  readonly columns?: readonly DeclaredColumn[];
}

/** The union of what the AuditPolicies of one database and one log declare: one slot, one source. */
export interface AuditSettings {
  readonly tables: readonly AuditedTable[];
  readonly replicaIdentity: 'Full' | 'Keep';
  /** Name of the declared database, by which another server or database behind it is noticed; not noticed when left out. */
  readonly connection?: string;
  /** Whether DDL, rights and roles are recorded; Ignore when left out. What is done to the capture itself always is. */
  readonly schemaChanges?: 'Record' | 'Ignore';
  /** What is taken from the server's log; nothing when left out. */
  readonly reads?: ReadSettings;
  /** Of the hashed columns. A Map, so that it is written nowhere by mistake: as JSON it is `{}`. */
  readonly hashKeys?: HashKeys;
}

// What the AuditPolicies of one database and one log declare together.

/** A table as an AuditPolicy declares it. */
export interface AuditedTable {
  readonly schema: string;
  readonly table: string;
  readonly operations: readonly ('Insert' | 'Update' | 'Delete' | 'Truncate')[];
  /** Whether the rows that exist when auditing begins are sealed. */
  readonly baseline?: true;
  /** Rows belong to what the transaction says of itself, without any trigger; to their statement when left out. */
  readonly context?: 'Transaction';
}

/** The union of what the AuditPolicies of one database and one log declare: one slot, one source. */
export interface AuditSettings {
  readonly tables: readonly AuditedTable[];
  readonly replicaIdentity: 'Full' | 'Keep';
  /** Name of the declared database, by which another server or database behind it is noticed; not noticed when left out. */
  readonly connection?: string;
  /** Whether DDL, rights and roles are recorded; Ignore when left out. What is done to the capture itself always is. */
  readonly schemaChanges?: 'Record' | 'Ignore';
}

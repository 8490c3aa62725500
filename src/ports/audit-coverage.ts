// What of the declared tables is really captured, and what the environment of their policies is (DESIGN §5, Coverage, DDL).

/** Why a table, or a part of it, is or was not captured as declared; each is explained in docs/audit.md. */
export type CoverageProblem =
  | 'Missing'
  | 'NotATable'
  | 'Foreign'
  | 'Unlogged'
  | 'NotOwner'
  | 'NotPublished'
  | 'Filtered'
  | 'OperationsNotPublished'
  | 'Interrupted'
  | 'IdentityReduced'
  | 'TriggerMissing'
  | ColumnProblem;

/** A column that is to be kept out of the log is not there as declared, or is part of the key; its values are kept out all the same. */
export type ColumnProblem = 'ColumnMissing' | 'ColumnRenamed' | 'ColumnDropped' | 'KeyNotRecorded';

/** Found on the capture itself rather than on a table. `NotRecorded`: the database does not know that a declared table is audited; mostly it is new. */
export type InstallationProblem = 'FunctionReplaced' | 'RightsTaken' | 'EventTriggerMissing' | 'NotRecorded';

/** Coverage that was found broken and mended: what happened before is not known. Without a table it is about the whole capture. */
export interface MendedCoverage {
  readonly schema?: string;
  readonly table?: string;
  readonly oid?: number;
  readonly problem: CoverageProblem | InstallationProblem;
}

/** A declared table or a partition below one. */
export interface TableCoverage {
  readonly schema: string;
  readonly table: string;
  /** What is recorded of it while nothing is in the way. */
  readonly operations: readonly ('Insert' | 'Update' | 'Delete' | 'Truncate')[];
  /** The declared table that it is, or is a partition of. */
  readonly declared: { readonly schema: string; readonly table: string };
  /** Empty when all is captured as declared. */
  readonly problems: readonly CoverageProblem[];
  /** Declared columns that the problems are about. */
  readonly columns?: readonly string[];
}

/** Kind, name, and what is in force: attributes, rights, or a digest. */
export type EnvironmentItem = readonly [kind: string, name: string, value: unknown];

export interface EnvironmentChange {
  readonly kind: string;
  readonly name: string;
  /** Undefined where it is new, or gone. */
  readonly before?: unknown;
  readonly after?: unknown;
}

/** What a look at the environment found; LSNs in PostgreSQL's text form bound when it happened. */
export interface EnvironmentReport {
  readonly digest: string;
  readonly previous: string | null;
  readonly from: string | null;
  readonly to: string;
  readonly changes: readonly EnvironmentChange[];
  readonly total: number;
  /** The whole environment, at a start; the preimage of `digest` in canonical JSON. */
  readonly items?: readonly EnvironmentItem[];
}

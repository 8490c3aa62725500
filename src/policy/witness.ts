// A leak shown, as a value: who does what, and what it means if it comes true. An adapter runs it and rolls it back.
import type { TableName } from './table-name.ts';

export type Witness = WitnessAct & {
  /** The role that acts. */
  readonly role: string;
  /** Session settings it acts under, claims among them; none otherwise. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What is proven when it is shown, as one sentence. */
  readonly shows: string;
};

type WitnessAct =
  /** The role reads a row of the relation. */
  | { readonly kind: 'ReadsRows'; readonly relation: TableName }
  /** The role reads a row of the table although row security is not asked: `row_security = off` raises no error. */
  | { readonly kind: 'ReadsPastPolicies'; readonly relation: TableName }
  /** The role reads more rows of the relation than it sees of the same rows through `through`, its partitioned or inheritance root. */
  | { readonly kind: 'ReadsPastRoot'; readonly relation: TableName; readonly through: TableName }
  /** The view returns other rows than its own query does under the role's own rights. */
  | { readonly kind: 'ViewReadsMore'; readonly view: TableName }
  /** A DELETE without WHERE, or an UPDATE of the nullable column to NULL, reaches more rows than the role sees. */
  | { readonly kind: 'WritesUnseen'; readonly table: TableName; readonly command: 'Delete' }
  | { readonly kind: 'WritesUnseen'; readonly table: TableName; readonly command: 'Update'; readonly column: string }
  /** A DELETE on one table or view (an UPDATE of the column, where `set` names one) changes more rows of another, through a key, rule or trigger, than the role sees there. */
  | { readonly kind: 'Cascades'; readonly from: TableName; readonly into: TableName; readonly set?: string }
  /** A function in the role's own WHERE is handed more rows of the view than the view returns. */
  | { readonly kind: 'PeeksBehindView'; readonly view: TableName }
  /** The role inserts a row, or updates the column of every row, of a table that asks no policy of it. */
  | { readonly kind: 'WritesOpenly'; readonly table: TableName; readonly command: 'Insert' | 'Update'; readonly column?: string }
  /** The function, called without arguments, gives the role more rows than it sees in the table that the function reads. */
  | { readonly kind: 'CallReadsMore'; readonly call: { readonly schema: string; readonly name: string }; readonly table: TableName }
  | ExistenceTold
  /** With `cascade` the tables that refer to it, too. */
  | { readonly kind: 'Truncates'; readonly table: TableName; readonly cascade: boolean };

/** Under its settings the role inserts a row of one tenant; under `otherSettings`, where it does not see it, the answer to another INSERT tells of it. */
interface ExistenceTold {
  readonly kind: 'ExistenceTold';
  readonly hidden: {
    readonly table: TableName;
    /** Column to the text of its value. */
    readonly row: Readonly<Record<string, string>>;
    readonly key: Readonly<Record<string, string>>;
  };
  readonly asking: { readonly table: TableName; readonly row: Readonly<Record<string, string>> };
  readonly otherSettings: Readonly<Record<string, string>>;
  readonly told: 'ByConflict' | 'ByAcceptance';
}

/** What came of the act itself. */
export type Shown = Omit<WitnessOutcome, 'replay'>;

export interface WitnessOutcome {
  /** NotShown: it was run, and the data that is there now does not show it. */
  readonly result: 'Shown' | 'NotShown' | 'NotRun';
  /** Counts and reasons, never row contents. */
  readonly detail: string;
  /** The statements that were run between BEGIN and ROLLBACK, to see it by hand; empty where none was. */
  readonly replay: readonly string[];
}

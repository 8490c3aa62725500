// A leak shown, as a value: who does what, and what it means if it comes true. An adapter runs it and rolls it back.
import type { TableName } from './table-name.ts';

export type Witness = WitnessAct & {
  /** The role that acts. */
  readonly role: string;
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
  /** An UPDATE or DELETE without WHERE reaches more rows than the role sees. */
  | { readonly kind: 'WritesUnseen'; readonly table: TableName; readonly command: 'Update' | 'Delete'; readonly column?: string }
  | { readonly kind: 'Truncates'; readonly table: TableName };

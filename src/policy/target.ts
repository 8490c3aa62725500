// What a RowPolicy's target may say: names of tables, or a selector.
import type { RowPolicySpec } from '../model/kinds.ts';
import type { TableName } from './table-name.ts';

export type Target = RowPolicySpec['target'];

export interface TargetedTable {
  readonly table: TableName;
  /** The topmost table of its family that the target itself means; the table itself where it has no such ancestor. */
  readonly root: TableName;
}

/** The tables that a target names; none for a selector. */
export function namedTables(target: Target): readonly TableName[] {
  return (target.tables ?? []).map((table) => ({ schema: target.schema, table }));
}

/** A glob as a pattern for LIKE, where a backslash escapes. */
export function likePattern(glob: string): string {
  return glob.replaceAll(/[\\%_]/g, (character) => `\\${character}`).replaceAll('*', '%').replaceAll('?', '_');
}

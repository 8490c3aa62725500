// Where an expression is evaluated: over whose columns, how it reads the session, and what is noted while it is rendered.
import { RowsealError } from '../../model/errors.ts';
import type { LiteralCast } from '../../policy/compiled.ts';
import type { ObservedColumn, ObservedTable } from '../../policy/observed.ts';
import type { Membership } from '../../policy/predicate.ts';
import { describeTable } from '../../policy/table-name.ts';
import type { SessionValues } from './claim-sql.ts';
import type { SqlType } from './sql-type.ts';

export interface PredicateScope {
  readonly table: ObservedTable;
  /** Prefix of columns, such as `m.`; empty in the policy's own table. */
  readonly prefix: string;
  readonly session: SessionValues;
  /** The values of a membership's lookup, whichever way they may be read. */
  readonly membership: (member: Membership, scope: PredicateScope) => MemberValues;
  /** The literals that are cast, to be checked before anything is applied. */
  readonly literals: Map<string, LiteralCast>;
  readonly rule: string;
  /** Where it matters: for each value of the session a condition that says whether it is known. */
  readonly known?: Set<string>;
}

/** What a lookup yields. */
export interface MemberValues {
  readonly array: string;
  /** Of one value. */
  readonly type: SqlType;
}

/** Throws DatabaseObjectMissing for a column that is not there. */
export function columnOf(name: string, table: ObservedTable): ObservedColumn {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw new RowsealError('DatabaseObjectMissing', `column ${JSON.stringify(name)} of table ${describeTable(table.table)} does not exist`, {
    object: `column ${describeTable(table.table)}.${name}`,
    next: 'add the column, or correct its name in the manifest',
  });
}

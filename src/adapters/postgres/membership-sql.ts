// Membership lookups: an uncorrelated subselect, or, where the table read is governed itself, a helper function that reads past its policies.
import { createHash } from 'node:crypto';
import type { CompiledFunction } from '../../policy/compiled.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import type { Membership } from '../../policy/predicate.ts';
import { typeSql } from './claim-sql.ts';
import { columnOf, columnType, type PredicateScope, whereSql } from './predicate-sql.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';

/** `array(select …)` over a table that the querying role may read by itself. */
export function directMembership(member: Membership, table: ObservedTable, scope: PredicateScope): string {
  return `array(${selectSql(member, { ...scope, table, prefix: 'm.' })})`;
}

export interface HelperFunction {
  readonly function: CompiledFunction;
  /** `array(select …)` calling it. */
  readonly call: string;
}

export interface HelperOptions {
  readonly schema: string;
  readonly roles: readonly string[];
}

/**
 * A helper that runs as its owner: a policy that reads a governed table, itself included, would otherwise recurse or see
 * too little. `row_security = off` makes it fail, not hide rows, where the owner is bound after all. Inside it
 * `current_user` is the owner, so the caller's role comes as the argument.
 */
export function helperMembership(member: Membership, table: ObservedTable, scope: PredicateScope, { schema, roles }: HelperOptions): HelperFunction {
  const body = selectSql(member, { ...scope, table, prefix: 'm.', role: '$1' });
  const returns = typeSql(columnTypeOf(member, table));
  const parallel = body.includes('rowseal.input_is_valid') ? 'unsafe' : 'safe';
  const attributes = `returns setof ${returns} language sql stable security definer parallel ${parallel} set search_path = pg_catalog, pg_temp set row_security = off`;
  const name = `member_${createHash('sha256').update(`${attributes}\n${body}`).digest('hex').slice(0, 24)}`;
  const qualified = `${quoteName(schema)}.${quoteName(name)}`;
  return {
    function: { schema, name, roles, definition: `create or replace function ${qualified}(text) ${attributes} as ${quoteLiteral(body)}` },
    call: `array(select ${qualified}(${scope.role}))`,
  };
}

function selectSql(member: Membership, inner: PredicateScope): string {
  const column = columnOf(member.memberColumn, inner.table);
  const type = typeSql(columnTypeOf(member, inner.table));
  return `select cast(m.${quoteName(column.name)} as ${type}) from ${quoteTable(inner.table.table)} as m where ${whereSql(member.where, inner)}`;
}

function columnTypeOf(member: Membership, table: ObservedTable) {
  return columnType(columnOf(member.memberColumn, table));
}

// Membership lookups: an uncorrelated subselect, or, where a table read is governed itself, a helper function that reads past its policies.
import { createHash } from 'node:crypto';
import type { CompiledFunction } from '../../policy/compiled.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import type { Membership } from '../../policy/predicate.ts';
import type { TableName } from '../../policy/table-name.ts';
import { columnOf, type MemberValues, type PredicateScope } from './predicate-scope.ts';
import { alternativesSql } from './predicate-sql.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';
import { columnType, type SqlType, typeSql } from './sql-type.ts';

/** Throws DatabaseObjectMissing for a table that is not there. */
export type TableLookup = (name: TableName) => ObservedTable;

/** `array(select …)` over tables that the querying role may read by itself. */
export function directMembership(member: Membership, tableOf: TableLookup, scope: PredicateScope): MemberValues {
  const table = tableOf(member.table);
  const inner: PredicateScope = {
    ...scope,
    table,
    prefix: scope.prefix === '' ? 'm.' : 'n.',
    membership: (nested, within) => directMembership(nested, tableOf, within),
  };
  const type = columnType(columnOf(member.column, table));
  return { array: `array(${selectSql(member, type, inner)})`, type };
}

export interface HelperFunction {
  readonly function: CompiledFunction;
  readonly values: MemberValues;
}

export interface HelperOptions {
  readonly schema: string;
  readonly roles: readonly string[];
  readonly tableOf: TableLookup;
}

/**
 * A helper that runs as its owner: a policy that reads a governed table, itself included, would otherwise recurse or see
 * too little. `row_security = off` makes it fail, not hide rows, where the owner is bound after all. Inside it
 * `current_user` is the owner, so the caller's role and claims come as arguments; signed claims it checks itself, since their
 * check knows the session, and whoever may call the helper could pass claims that nobody signed.
 */
export function helperMembership(member: Membership, scope: PredicateScope, { schema, roles, tableOf }: HelperOptions): HelperFunction {
  // Outside, so that what must be known is said in terms of the caller's own session.
  const { type } = directMembership(member, tableOf, scope);
  const { known: _, ...unnoted } = scope;
  const signed = scope.session.source.type === 'Signed';
  const { array } = directMembership(member, tableOf, { ...unnoted, session: { ...scope.session, role: '$1', claims: signed ? scope.session.claims : '$2' } });
  const body = array.slice('array('.length, -1);
  const parallel = parallelSafety(body, scope.session);
  const attributes = `returns setof ${typeSql(type)} language sql stable security definer parallel ${parallel} set search_path = pg_catalog, pg_temp set row_security = off`;
  const name = `member_${createHash('sha256').update(`${attributes}\n${body}`).digest('hex').slice(0, 24)}`;
  const qualified = `${quoteName(schema)}.${quoteName(name)}`;
  const claims = body.includes('$2') ? scope.session.claims : 'null';
  return {
    function: { schema, name, roles, definition: `create or replace function ${qualified}(text, jsonb) ${attributes} as ${quoteLiteral(body)}` },
    values: { array: `array(select ${qualified}(${scope.session.role}, ${claims}))`, type },
  };
}

/** As its parts are: what keeps the check of a signature out of parallel workers keeps the helper out, too. */
function parallelSafety(body: string, { versionNumber }: PredicateScope['session']): 'safe' | 'restricted' | 'unsafe' {
  if (body.includes('rowseal.input_is_valid')) return 'unsafe';
  if (!body.includes('rowseal.signed_claims')) return 'safe';
  return versionNumber < 160_000 ? 'unsafe' : 'restricted';
}

function selectSql(member: Membership, type: SqlType, inner: PredicateScope): string {
  const alias = inner.prefix.slice(0, -1);
  // As a subselect it would bring its collation along, and clash with that of the column it is compared with.
  const collate = columnOf(member.column, inner.table).collation === undefined ? '' : ' collate "default"';
  const where = member.where.length === 0 ? '' : ` where ${alternativesSql(member.where, inner)}`;
  return `select cast(${inner.prefix}${quoteName(member.column)} as ${typeSql(type)})${collate} from ${quoteTable(inner.table.table)} as ${alias}${where}`;
}

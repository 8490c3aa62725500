// Copies of tables as temporary tables of the probe's session: never in the WAL, never seen by another session, gone with the transaction.
import type { CompiledFunction } from '../../policy/compiled.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import type { TableName } from '../../policy/table-name.ts';
import { quoteName, quoteRoles, quoteTable } from './quote.ts';
import { createPolicySql, functionSql, type PolicyText } from './render.ts';
import type { RunQuery } from './run-query.ts';

export interface CopyRules {
  readonly table: TableName;
  readonly rowSecurity: boolean;
  readonly policies: readonly PolicyText[];
  readonly functions: readonly CompiledFunction[];
}

/** No constraints and no defaults: a fixture writes only the columns that matter to it. */
export async function createCopies(query: RunQuery, tables: readonly ObservedTable[]): Promise<void> {
  for (const { table, columns } of tables) {
    const list = columns.map((column) => `${quoteName(column.name)} ${column.declaredType}`);
    await query(`create temporary table ${quoteName(table.table)} (${list.join(', ')})`);
  }
}

/** A row's place in its copy: what identifies it while nothing is written. */
export async function rowIds(query: RunQuery, { table }: ObservedTable): Promise<readonly string[]> {
  const rows = await query<{ id: string }>(`select ctid::text as id from ${quoteTable(table)}`);
  return rows.map((row) => row.id);
}

/** Rights on the originals don't reach copies, so they are given anew. */
export async function grantOnCopy(query: RunQuery, table: TableName, { rights, roles }: { readonly rights: string; readonly roles: readonly string[] }): Promise<void> {
  if (roles.length > 0) await query(`grant ${rights} on ${quoteTable(table)} to ${quoteRoles(roles)}`);
}

/** ENABLE without FORCE: the copies belong to the probe, which never reads them as itself, while membership helpers must. */
export async function enforceOnCopies(query: RunQuery, tables: readonly CopyRules[]): Promise<void> {
  const functions = new Map(tables.flatMap((table) => table.functions).map((helper) => [helper.name, helper]));
  for (const helper of functions.values()) await query(functionSql(helper));
  for (const { table, rowSecurity, policies } of tables) {
    if (rowSecurity) await query(`alter table ${quoteTable(table)} enable row level security`);
    for (const policy of policies) await query(createPolicySql(policy, table));
  }
}

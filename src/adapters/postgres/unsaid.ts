// Broken coverage that was found and is not in the WAL yet: kept beside what mends it, so that no crash in between makes it unsaid for ever.
import type { MendedCoverage } from '../../ports/audit-coverage.ts';
import type { RunQuery } from './run-query.ts';

/** Relation 0: about the capture itself. */
export const unsaidTableSql: readonly string[] = [
  `create table if not exists rowseal.audit_unsaid (
     capture text not null, relation oid not null, problem text not null, schema_name text, table_name text, primary key (capture, relation, problem))`,
  'alter table rowseal.audit_unsaid enable row level security',
  'revoke all on rowseal.audit_unsaid from public',
];

/** Before it is mended: if we die after this, the restart finds it here. */
export async function keepUnsaid(query: RunQuery, name: string, broken: readonly MendedCoverage[]): Promise<void> {
  for (const { schema, table, oid, problem } of broken) {
    await query('insert into rowseal.audit_unsaid (capture, relation, problem, schema_name, table_name) values ($1, $2, $3, $4, $5) on conflict do nothing', [
      name,
      oid ?? 0,
      problem,
      schema ?? null,
      table ?? null,
    ]);
  }
}

export async function readUnsaid(query: RunQuery, name: string): Promise<readonly MendedCoverage[]> {
  const rows = await query<{ oid: string; problem: MendedCoverage['problem']; schema: string | null; table: string | null }>(
    `select relation::int8::text as oid, problem, schema_name as schema, table_name as "table" from rowseal.audit_unsaid where capture = $1 order by relation, problem`,
    [name],
  );
  return rows.map(({ oid, problem, schema, table }) => ({ problem, ...(schema === null || table === null ? {} : { schema, table, oid: Number(oid) }) }));
}

/** In the transaction whose message says it. */
export async function forgetUnsaid(query: RunQuery, name: string): Promise<void> {
  await query('delete from rowseal.audit_unsaid where capture = $1', [name]);
}

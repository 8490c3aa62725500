// What the catalog says of the audited tables: partitions, keys, policies, and what of the capture each of them has.
import type { ConfiguredTable } from '../../ports/audit-database.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import { readColumns, type ResolvedColumns } from './column-catalog.ts';
import { inheritsSql, triggersStandSql, triggersThereSql } from './coverage-triggers.ts';
import type { RunQuery } from './session.ts';

/** A declared table or a partition under one, and what of the capture it has. */
export interface CatalogTable extends Omit<ConfiguredTable, 'policyDigest'> {
  readonly policyDigest: string | null;
  /** Named in the manifest, so it stands in the publication; partitions follow their root. */
  readonly declared: boolean;
  /** The name under which it, or the table that it is a partition of, is declared: another one than its own after a rename. */
  readonly declaredAs: { readonly schema: string; readonly table: string };
  readonly kind: 'r' | 'p' | 'f';
  readonly persistence: string;
  /** Whether our role may alter it. */
  readonly owned: boolean;
  readonly identity: string;
  readonly triggersStand: boolean;
  /** Triggers are there that no capture needs any more. */
  readonly triggersUnused: boolean;
  /** It has parents or children, partitions or other. */
  readonly inherits: boolean;
  readonly publication: 'none' | 'filtered' | 'whole';
  /** Whether the publication publishes every operation of the tables themselves. */
  readonly operationsPublished: boolean;
  readonly recorded: boolean;
  /** Identity of the rows that make it captured, now and when that was recorded: it differs when something went away and came back in between. */
  readonly pieces: string;
  readonly recordedPieces: string | null;
  /** Where columns are declared whose values are not recorded as they are. */
  readonly resolvedColumns?: ResolvedColumns;
}

export interface AuditCatalog {
  readonly tables: readonly CatalogTable[];
  /** Declared names that no table has. */
  readonly absent: readonly { readonly schema: string; readonly table: string; readonly problem: 'Missing' | 'NotATable' }[];
}

/** Every operation of the tables themselves, and their generated columns where the server can send them (PostgreSQL 18). */
export function publishesAllSql(publication: string): string {
  const generated = `coalesce(to_jsonb(${publication}) ->> 'pubgencols', 's') = 's'`;
  return `${['pubinsert', 'pubupdate', 'pubdelete', 'pubtruncate'].map((column) => `${publication}.${column}`).join(' and ')} and not ${publication}.pubviaroot and ${generated}`;
}

/** A declared name means the table that bears it, or else the one that was recorded under it: a rename takes nobody out of the log. */
const tablesSql = ({ digest, recorded }: Installed) => `
with declared as (
  select d.s, d.t, d.n from unnest($1::text[], $2::text[]) with ordinality as d(s, t, n)
), named as (
  select d.n, d.s, d.t, c.oid from declared d join pg_namespace s on s.nspname = d.s
    join pg_class c on c.relnamespace = s.oid and c.relname = d.t and c.relkind in ('r', 'p')
), root as (
  select n, s, t, oid from named
  ${recorded ? `union all select d.n, d.s, d.t, c.oid from declared d join rowseal.audited a on a.capture = $3 and a.schema_name = d.s and a.table_name = d.t
    join pg_class c on c.oid = a.relation and c.relkind in ('r', 'p') where not exists (select from named x where x.n = d.n)` : ''}
), tree as (
  select r.n, r.s, r.t, coalesce(p.relid::oid, r.oid) as oid, coalesce(p.relid::oid, r.oid) = r.oid as declared
    from root r left join lateral pg_partition_tree(r.oid) p on true
), publication as (select b.*, b.xmin as version from pg_publication b where b.pubname = $3)
select c.oid::int8::text as oid, s.nspname::text as schema, c.relname::text as "table", c.relkind::text as kind, c.relpersistence::text as persistence,
  c.relreplident::text as identity, bool_or(t.declared) as declared, array_agg(distinct t.n::int) as entries, pg_has_role(c.relowner, 'USAGE') as owned,
  array(select a.relid::oid::int8::text from pg_partition_ancestors(c.oid) with ordinality as a(relid, n) where a.relid <> c.oid order by a.n) as ancestors,
  array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where i.indrelid = c.oid and i.indisprimary order by a.attname) as key,
  ${triggersStandSql('c.oid')} as "triggersStand", ${inheritsSql('c.oid')} as inherits, ${triggersThereSql('c.oid')} > 0 as "triggersThere",
  ${recorded ? 'exists (select from rowseal.audited a where a.capture <> $3 and a.relation = c.oid and a.statements)' : 'false'} as "triggersShared",
  coalesce((select case when r.prqual is null and r.prattrs is null then 'whole' else 'filtered' end from publication b join pg_publication_rel r on r.prpubid = b.oid and r.prrelid = c.oid), 'none') as publication,
  exists (select from publication b where ${publishesAllSql('b')}) as operations,
  concat_ws(' ', (select concat_ws(':', b.oid, b.version) from publication b),
    (select concat_ws(':', r.oid, r.xmin) from publication b join pg_publication_rel r on r.prpubid = b.oid and r.prrelid = c.oid),
    (select string_agg(concat_ws(':', i.inhparent, i.xmin), ',' order by i.inhparent) from pg_inherits i where i.inhrelid = c.oid)) as pieces,
  ${recorded ? 'exists (select from rowseal.audited a where a.capture = $3 and a.relation = c.oid)' : 'false'} as recorded,
  ${recorded ? '(select a.pieces from rowseal.audited a where a.capture = $3 and a.relation = c.oid)' : 'null::text'} as recorded_pieces,
  ${digest ? 'rowseal.audit_policy_digest(c.oid)' : 'null::text'} as digest
from tree t join pg_class c on c.oid = t.oid join pg_namespace s on s.oid = c.relnamespace
group by c.oid, s.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, c.relowner order by c.oid`;

interface Row {
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  readonly kind: 'r' | 'p' | 'f';
  readonly persistence: string;
  readonly identity: string;
  readonly declared: boolean;
  readonly entries: readonly number[];
  readonly owned: boolean;
  readonly ancestors: readonly string[];
  readonly key: readonly string[];
  readonly triggersStand: boolean;
  readonly triggersThere: boolean;
  readonly triggersShared: boolean;
  readonly inherits: boolean;
  readonly publication: CatalogTable['publication'];
  readonly operations: boolean;
  readonly pieces: string;
  readonly recorded: boolean;
  readonly recorded_pieces: string | null;
  readonly digest: string | null;
}

interface Installed {
  readonly digest: boolean;
  readonly recorded: boolean;
}

export async function readCatalog(query: RunQuery, name: string, settings: AuditSettings): Promise<AuditCatalog> {
  const [installed] = await query<Installed>(
    `select to_regprocedure('rowseal.audit_policy_digest(oid)') is not null as digest,
       exists (select from pg_attribute where attrelid = to_regclass('rowseal.audited') and attname = 'statements') as recorded`,
  );
  const rows = await query<Row>(tablesSql(installed ?? { digest: false, recorded: false }), [
    settings.tables.map((table) => table.schema),
    settings.tables.map((table) => table.table),
    name,
  ]);
  const tables = rows.map((row) => catalogTable(row, settings));
  const columns = await readColumns(query, name, { tables: tables.map((table, index) => ({ ...table, entries: rows[index]?.entries ?? [] })), settings });
  const found = new Set(rows.filter((row) => row.declared).flatMap((row) => row.entries));
  const missing = settings.tables.filter((_table, index) => !found.has(index + 1));
  return { tables: tables.map((table) => withColumns(table, columns.get(table.oid))), absent: await absentTables(query, missing) };
}

function catalogTable(row: Row, settings: AuditSettings): CatalogTable {
  const entries = row.entries.flatMap((entry) => settings.tables[entry - 1] ?? []);
  const operations = new Set(entries.flatMap((entry) => entry.operations));
  return {
    ...row,
    ...(entries.length > 0 && entries.every((entry) => entry.context === 'Transaction') ? { context: 'Transaction', triggersUnused: row.triggersThere && !row.triggersShared } : { triggersUnused: false }),
    oid: Number(row.oid),
    ancestors: row.ancestors.map(Number),
    policyDigest: row.digest,
    declaredAs: entries[0] ?? row,
    operationsPublished: row.operations,
    recordedPieces: row.recorded_pieces,
    operations: (['Insert', 'Update', 'Delete', 'Truncate'] as const).filter((operation) => operations.has(operation)),
  };
}

function withColumns(table: CatalogTable, resolved: ResolvedColumns | undefined): CatalogTable {
  return resolved === undefined ? table : { ...table, columns: resolved.columns, resolvedColumns: resolved };
}

/** A view or a foreign table bears the name, or nothing does. */
async function absentTables(query: RunQuery, missing: AuditSettings['tables']): Promise<AuditCatalog['absent']> {
  if (missing.length === 0) return [];
  const others = await query<{ schema: string; table: string }>(
    `select s.nspname::text as schema, c.relname::text as "table" from unnest($1::text[], $2::text[]) d(s, t) join pg_namespace s on s.nspname = d.s join pg_class c on c.relnamespace = s.oid and c.relname = d.t`,
    [missing.map(({ schema }) => schema), missing.map(({ table }) => table)],
  );
  const isOther = ({ schema, table }: { schema: string; table: string }) => others.some((other) => other.schema === schema && other.table === table);
  return missing.map(({ schema, table }) => ({ schema, table, problem: isOther({ schema, table }) ? 'NotATable' : 'Missing' }));
}

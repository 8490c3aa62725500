// What the catalog says of the audited tables: partitions, keys, policies, and whether all of the capture stands.
import { RowsealError } from '../../model/errors.ts';
import type { CaptureConfiguration, ConfiguredTable } from '../../ports/audit-database.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import type { RunQuery } from './session.ts';

/** A declared table or a partition under one, and what of the capture it has. */
export interface CatalogTable extends Omit<ConfiguredTable, 'policyDigest'> {
  readonly policyDigest: string | null;
  /** Named in the manifest, so it stands in the publication; partitions follow their root. */
  readonly declared: boolean;
  readonly kind: 'r' | 'p';
  readonly persistence: string;
  readonly identity: string;
  readonly triggers: number;
  readonly published: boolean;
  readonly recorded: boolean;
}

const tablesSql = (digest: boolean, recorded: boolean) => `
with declared as (
  select d.s, d.t, d.n from unnest($1::text[], $2::text[]) with ordinality as d(s, t, n)
), root as (
  select d.n, c.oid from declared d join pg_namespace s on s.nspname = d.s
    join pg_class c on c.relnamespace = s.oid and c.relname = d.t and c.relkind in ('r', 'p')
), tree as (
  select r.n, coalesce(p.relid::oid, r.oid) as oid, coalesce(p.relid::oid, r.oid) = r.oid as declared
    from root r left join lateral pg_partition_tree(r.oid) p on true
)
select c.oid::int8::text as oid, s.nspname::text as schema, c.relname::text as "table", c.relkind::text as kind, c.relpersistence::text as persistence,
  c.relreplident::text as identity, bool_or(t.declared) as declared, array_agg(distinct t.n::int) as entries,
  array(select a.relid::oid::int8::text from pg_partition_ancestors(c.oid) with ordinality as a(relid, n) where a.relid <> c.oid order by a.n) as ancestors,
  array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where i.indrelid = c.oid and i.indisprimary order by a.attname) as key,
  (select count(*)::int from pg_trigger g join pg_proc p on p.oid = g.tgfoid join pg_namespace f on f.oid = p.pronamespace
    where g.tgrelid = c.oid and g.tgenabled = 'A' and f.nspname = 'rowseal' and not g.tgisinternal
      and ((g.tgname = 'rowseal_open' and p.proname = 'audit_open' and g.tgtype = 62 and g.tgqual is not null)
        or (g.tgname = 'rowseal_close' and p.proname = 'audit_close' and g.tgtype = 60 and g.tgqual is null))) as triggers,
  exists (select from pg_publication b join pg_publication_rel r on r.prpubid = b.oid
    where b.pubname = $3 and r.prrelid = c.oid and r.prqual is null and r.prattrs is null
      and b.pubinsert and b.pubupdate and b.pubdelete and b.pubtruncate and not b.pubviaroot) as published,
  ${recorded ? 'exists (select from rowseal.audited a where a.capture = $3 and a.relation = c.oid)' : 'false'} as recorded,
  ${digest ? 'rowseal.audit_policy_digest(c.oid)' : 'null::text'} as digest
from tree t join pg_class c on c.oid = t.oid join pg_namespace s on s.oid = c.relnamespace
group by c.oid, s.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident order by c.oid`;

interface Row {
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  readonly kind: 'r' | 'p';
  readonly persistence: string;
  readonly identity: string;
  readonly declared: boolean;
  readonly entries: readonly number[];
  readonly ancestors: readonly string[];
  readonly key: readonly string[];
  readonly triggers: number;
  readonly published: boolean;
  readonly recorded: boolean;
  readonly digest: string | null;
}

/** Throws DatabaseObjectMissing naming a declared table that does not exist. */
export async function readTables(query: RunQuery, name: string, settings: AuditSettings): Promise<readonly CatalogTable[]> {
  const [installed] = await query<{ digest: boolean; recorded: boolean }>(
    `select to_regprocedure('rowseal.audit_policy_digest(oid)') is not null as digest, to_regclass('rowseal.audited') is not null as recorded`,
  );
  const rows = await query<Row>(tablesSql(installed?.digest === true, installed?.recorded === true), [
    settings.tables.map((table) => table.schema),
    settings.tables.map((table) => table.table),
    name,
  ]);
  const found = new Set(rows.filter((row) => row.declared).flatMap((row) => row.entries));
  const missing = settings.tables.find((_table, index) => !found.has(index + 1));
  if (missing !== undefined) {
    throw new RowsealError('DatabaseObjectMissing', `table ${missing.schema}.${missing.table} does not exist`, {
      object: `table ${missing.schema}.${missing.table}`,
      next: 'create the table, or correct its name in the AuditPolicy',
    });
  }
  return rows.map((row) => catalogTable(row, settings));
}

function catalogTable(row: Row, settings: AuditSettings): CatalogTable {
  const operations = new Set(row.entries.flatMap((entry) => settings.tables[entry - 1]?.operations ?? []));
  return {
    ...row,
    oid: Number(row.oid),
    ancestors: row.ancestors.map(Number),
    policyDigest: row.digest,
    operations: (['Insert', 'Update', 'Delete', 'Truncate'] as const).filter((operation) => operations.has(operation)),
  };
}

export function configurationOf(tables: readonly CatalogTable[], claimsSetting: string): CaptureConfiguration {
  return {
    claimsSetting,
    tables: tables.map(({ oid, schema, table, ancestors, key, operations, policyDigest }) => ({ oid, schema, table, ancestors, key, operations, policyDigest })),
  };
}

/** Without a key an update or delete of a published table would fail, so it gets FULL whatever is asked for. */
export function needsFullIdentity(table: CatalogTable, settings: AuditSettings): boolean {
  if (table.kind === 'p' || table.identity === 'f') return false;
  return settings.replicaIdentity === 'Full' || table.identity === 'n' || (table.identity === 'd' && table.key.length === 0);
}

export function standsComplete(table: CatalogTable, settings: AuditSettings): boolean {
  return table.triggers === 2 && table.recorded && (!table.declared || table.published) && !needsFullIdentity(table, settings);
}

/** A table that appeared after the configuration was written; undefined when it is gone already. */
export async function readPartition(query: RunQuery, oid: number): Promise<Pick<ConfiguredTable, 'ancestors' | 'key'> | undefined> {
  const [row] = await query<{ ancestors: readonly string[]; key: readonly string[] }>(
    `select array(select a.relid::oid::int8::text from pg_partition_ancestors(c.oid) with ordinality as a(relid, n) where a.relid <> c.oid order by a.n) as ancestors,
       array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where i.indrelid = c.oid and i.indisprimary order by a.attname) as key
     from pg_class c where c.oid = $1`,
    [oid],
  );
  return row === undefined ? undefined : { ancestors: row.ancestors.map(Number), key: row.key };
}

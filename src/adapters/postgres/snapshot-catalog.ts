// Which tables a snapshot holds, described as the stream would describe them (pgoutput, Relation and Type messages).
import { attributesOf, treatmentsOf } from '../../model/audited-columns.ts';
import type { RelationShape } from '../../ports/audit-database.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import type { SnapshotTable } from '../../ports/snapshot.ts';
import { readColumns } from './column-catalog.ts';
import type { RunQuery } from './run-query.ts';

const identities = { d: 'default', n: 'nothing', f: 'full', i: 'index' } as const;
/** FirstGenbkiObjectId: from here on the stream names a type, by what a domain is over. */
const firstNamedType = 10_000;

const tablesSql = `
with declared as (
  select d.s, d.t, d.n from unnest($1::text[], $2::text[]) with ordinality as d(s, t, n)
), root as (
  select d.n, c.oid from declared d join pg_namespace s on s.nspname = d.s
    join pg_class c on c.relnamespace = s.oid and c.relname = d.t and c.relkind in ('r', 'p')
), tree as (
  select r.n, coalesce(p.relid::oid, r.oid) as oid from root r left join lateral pg_partition_tree(r.oid) p on true
)
select c.oid::int8::text as oid, s.nspname::text as schema, c.relname::text as "table", c.relreplident::text as identity, array_agg(distinct t.n::int - 1) as declared,
  array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where i.indrelid = c.oid and i.indisprimary order by a.attname) as key,
  array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where i.indrelid = c.oid and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end) as identified,
  (select coalesce(json_agg(json_build_array(a.attname, a.atttypid::int8, b.nspname, b.typname, a.atttypmod) order by a.attnum), '[]')
     from pg_attribute a, lateral (
       with recursive base as (
         select y.oid, y.typtype, y.typbasetype, y.typname, y.typnamespace, 0 as depth from pg_type y where y.oid = a.atttypid
         union all select y.oid, y.typtype, y.typbasetype, y.typname, y.typnamespace, depth + 1 from base o join pg_type y on o.typtype = 'd' and y.oid = o.typbasetype
       ) select n.nspname, o.typname from base o join pg_namespace n on n.oid = o.typnamespace order by depth desc limit 1
     ) b
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and (a.attgenerated = '' or (a.attgenerated = 's' and exists (select from pg_publication p where p.pubname = $3 and to_jsonb(p) ->> 'pubgencols' = 's')))) as columns
from tree t join pg_class c on c.oid = t.oid and c.relkind = 'r' and c.relpersistence = 'p' join pg_namespace s on s.oid = c.relnamespace
group by c.oid, s.nspname, c.relname, c.relreplident order by c.oid`;

interface Row {
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  readonly identity: keyof typeof identities;
  readonly declared: readonly number[];
  readonly key: readonly string[];
  readonly identified: readonly string[];
  readonly columns: readonly (readonly [name: string, type: number, schema: string, typeName: string, modifier: number])[];
}

/** `publication`, which bears the name of the capture, tells whether generated columns are part of a row. */
export async function readSnapshotTables(query: RunQuery, settings: Pick<AuditSettings, 'tables' | 'hashKeys'>, publication: string): Promise<readonly SnapshotTable[]> {
  const declared = settings.tables;
  const rows = await query<Row>(tablesSql, [declared.map((table) => table.schema), declared.map((table) => table.table), publication]);
  const tables = rows.map((row) => ({ oid: Number(row.oid), entries: row.declared.map((index) => index + 1), ancestors: [], key: row.key }));
  const resolved = await readColumns(query, publication, { tables, settings });
  return rows.map((row) => {
    const found = resolved.get(Number(row.oid));
    const treatments = found === undefined ? {} : { treatments: treatmentsOf(attributesOf(row.columns.length, found.columns, undefined), found.columns, settings.hashKeys ?? new Map()) };
    return { declared: row.declared, key: row.key, shape: shapeOf(row), ...treatments };
  });
}

function shapeOf({ oid, schema, table, identity, identified, columns }: Row): RelationShape {
  return {
    oid: Number(oid),
    schema,
    table,
    replicaIdentity: identities[identity],
    columns: columns.map(([name, type, typeSchema, typeName, typeModifier]) => ({
      name,
      type: type < firstNamedType || typeSchema === 'pg_catalog' ? typeName : `${typeSchema}.${typeName}`,
      typeModifier,
      identity: identity === 'f' || identified.includes(name),
    })),
  };
}

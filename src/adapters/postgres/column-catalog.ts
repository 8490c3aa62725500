// Declared columns in the catalog: by name once, by attribute number from then on, so that a rename lets no value out.
import { type ConfiguredColumns, type DeclaredColumn, type NamedColumns, stricter } from '../../model/audited-columns.ts';
import type { ColumnProblem } from '../../ports/audit-coverage.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import type { RunQuery } from './run-query.ts';

interface Attribute {
  readonly attnum: number;
  readonly name: string;
  readonly dropped: boolean;
  /** Whether pgoutput sends it: generated columns only from PostgreSQL 18 on, and only stored ones. */
  readonly sent: boolean;
}

interface RememberedColumn {
  readonly column: string;
  readonly attnum: number;
}

export interface ResolvedColumns {
  readonly columns: ConfiguredColumns;
  readonly problems: readonly { readonly column: string; readonly problem: ColumnProblem }[];
  /** What is to be remembered of this table. */
  readonly known: readonly RememberedColumn[];
  /** Whether that is what is remembered already. */
  readonly recorded: boolean;
}

export const auditedColumnTableSql: readonly string[] = [
  'create table if not exists rowseal.audited_column (capture text not null, relation oid not null, name text not null, attnum int2 not null, primary key (capture, relation, name, attnum))',
  'alter table rowseal.audited_column enable row level security',
  'revoke all on rowseal.audited_column from public',
];

interface ColumnsToResolve {
  readonly declared: readonly DeclaredColumn[];
  readonly attributes: readonly Attribute[];
  /** Attribute numbers that bore a declared name once. */
  readonly remembered: readonly RememberedColumn[];
  /** Present names of columns that were renamed in the partitioned table above. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly key: readonly string[];
}

function resolveColumns({ declared, attributes, remembered, aliases, key }: ColumnsToResolve): ResolvedColumns {
  const alive = attributes.filter((attribute) => !attribute.dropped);
  const treated = new Map<number, DeclaredColumn & { attnum: number }>();
  const problems: { column: string; problem: ColumnProblem }[] = [];
  const known: RememberedColumn[] = [];
  let lost = false;
  for (const one of declared) {
    const { column, mode } = one;
    const bearer = alive.find(({ name }) => name === column || name === aliases.get(column));
    const earlier = remembered.filter((entry) => entry.column === column).map(({ attnum }) => attnum);
    const attnums = [...new Set([...(bearer === undefined ? [] : [bearer.attnum]), ...earlier])].sort((a, b) => a - b);
    for (const attnum of attnums) {
      known.push({ column, attnum });
      if (!alive.some((attribute) => attribute.attnum === attnum)) continue;
      const other = treated.get(attnum);
      treated.set(attnum, other === undefined ? { ...one, attnum } : stricter(other, { ...one, attnum }));
    }
    if (attnums.length === 0) lost = true;
    if (bearer?.name !== column) problems.push({ column, problem: attnums.length === 0 ? 'ColumnMissing' : attnums.some((attnum) => alive.some((attribute) => attribute.attnum === attnum)) ? 'ColumnRenamed' : 'ColumnDropped' });
    else if (mode !== 'hash' && key.includes(column)) problems.push({ column, problem: 'KeyNotRecorded' });
  }
  const idOf = ({ column, attnum }: RememberedColumn) => JSON.stringify([column, attnum]);
  const now = new Set(known.map(idOf));
  return {
    columns: {
      live: alive.filter(({ sent }) => sent).map(({ attnum }) => attnum),
      last: lastOf(attributes),
      treated: [...treated.values()].sort((a, b) => a.attnum - b.attnum),
      ...(lost ? { rest: 'redact' as const } : {}),
    },
    problems,
    known,
    recorded: now.size === remembered.length && remembered.every((entry) => now.has(idOf(entry))),
  };
}

interface DeclaredTable {
  readonly oid: number;
  readonly entries: readonly number[];
  readonly ancestors: readonly number[];
  readonly key: readonly string[];
}

/** Of the tables for which a column is declared, by OID; partitions follow what their root's columns are called now. */
export async function readColumns(query: RunQuery, name: string, { tables, settings }: { readonly tables: readonly DeclaredTable[]; readonly settings: Pick<AuditSettings, 'tables'> }): Promise<ReadonlyMap<number, ResolvedColumns>> {
  const concerned = tables.filter((table) => declaredFor(table, settings).length > 0);
  if (concerned.length === 0) return new Map();
  const attributes = await readAttributes(query, concerned.map(({ oid }) => oid));
  const remembered = await readRemembered(query, name);
  const resolved = new Map<number, ResolvedColumns>();
  const aliases = new Map<number, ReadonlyMap<string, string>>();
  // Fewest ancestors first, so that a root is known before its partitions.
  for (const table of concerned.toSorted((a, b) => a.ancestors.length - b.ancestors.length)) {
    const own = { attributes: attributes.get(table.oid) ?? [], remembered: remembered.get(table.oid) ?? [] };
    const above = table.ancestors.map((oid) => aliases.get(oid)).find((found) => found !== undefined);
    resolved.set(table.oid, resolveColumns({ declared: declaredFor(table, settings), ...own, aliases: above ?? new Map(), key: table.key }));
    aliases.set(table.oid, presentNames(own));
  }
  return resolved;
}

/** What remembered columns are called now. */
function presentNames({ attributes, remembered }: Pick<ColumnsToResolve, 'attributes' | 'remembered'>): ReadonlyMap<string, string> {
  const pairs = remembered.map(({ column, attnum }) => [column, attributes.find((attribute) => attribute.attnum === attnum && !attribute.dropped)?.name] as const);
  return new Map(pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined));
}

function declaredFor({ entries }: Pick<DeclaredTable, 'entries'>, settings: Pick<AuditSettings, 'tables'>): readonly DeclaredColumn[] {
  const declared = new Map<string, DeclaredColumn>();
  for (const column of entries.flatMap((entry) => settings.tables[entry - 1]?.columns ?? [])) {
    const other = declared.get(column.column);
    declared.set(column.column, other === undefined ? column : stricter(other, column));
  }
  return [...declared.values()];
}

const attributesSql = `select a.attrelid::int8::text as oid, a.attnum::int as attnum, a.attname::text as name, a.attisdropped as dropped,
    a.attgenerated = '' or (a.attgenerated = 's' and current_setting('server_version_num')::int >= 180000) as sent
  from pg_attribute a where a.attrelid = any ($1::oid[]) and a.attnum > 0 order by a.attrelid, a.attnum`;

async function readAttributes(query: RunQuery, oids: readonly number[]): Promise<ReadonlyMap<number, readonly Attribute[]>> {
  const rows = await query<Attribute & { oid: string }>(attributesSql, [oids]);
  const found = new Map<number, Attribute[]>();
  for (const { oid, attnum, name, dropped, sent } of rows) {
    const list = found.get(Number(oid)) ?? [];
    list.push({ attnum, name, dropped, sent });
    found.set(Number(oid), list);
  }
  return found;
}

/** Of these relations as they are now; those that are gone are left out. */
export async function presentColumns(query: RunQuery, oids: readonly number[]): Promise<ReadonlyMap<number, NamedColumns>> {
  const attributes = await readAttributes(query, oids);
  return new Map([...attributes].map(([oid, list]) => [oid, namedColumns(list)]));
}

function namedColumns(attributes: readonly Attribute[]): NamedColumns {
  const alive = attributes.filter(({ dropped, sent }) => !dropped && sent);
  return { live: alive.map(({ attnum }) => attnum), last: lastOf(attributes), names: alive.map(({ name }) => name) };
}

function lastOf(attributes: readonly Attribute[]): number {
  return Math.max(0, ...attributes.map(({ attnum }) => attnum));
}

async function readRemembered(query: RunQuery, name: string): Promise<ReadonlyMap<number, readonly RememberedColumn[]>> {
  const [there] = await query<{ there: boolean }>(`select to_regclass('rowseal.audited_column') is not null as there`);
  if (there?.there !== true) return new Map();
  const rows = await query<{ oid: string; column: string; attnum: number }>(
    `select relation::int8::text as oid, name as "column", attnum::int as attnum from rowseal.audited_column where capture = $1 order by relation, name, attnum`,
    [name],
  );
  const found = new Map<number, RememberedColumn[]>();
  for (const { oid, column, attnum } of rows) found.set(Number(oid), [...(found.get(Number(oid)) ?? []), { column, attnum }]);
  return found;
}

/** Replaces what is remembered; in the transaction that installs. */
export async function rememberColumns(query: RunQuery, name: string, tables: readonly { readonly oid: number; readonly known: readonly RememberedColumn[] }[]): Promise<void> {
  const rows = tables.flatMap(({ oid, known }) => known.map(({ column, attnum }) => ({ oid, column, attnum })));
  const lists = [rows.map(({ oid }) => oid), rows.map(({ column }) => column), rows.map(({ attnum }) => attnum)];
  await query(
    `delete from rowseal.audited_column c where c.capture = $1
       and not exists (select from unnest($2::oid[], $3::text[], $4::int2[]) k(r, n, a) where k.r = c.relation and k.n = c.name and k.a = c.attnum)`,
    [name, ...lists],
  );
  await query('insert into rowseal.audited_column (capture, relation, name, attnum) select $1, k.* from unnest($2::oid[], $3::text[], $4::int2[]) k on conflict do nothing', [name, ...lists]);
}

// The rows of a small table as the server writes them, read past row security on our own session; nothing of a user's is evaluated by it.
import type { ObservedTable } from '../../policy/observed.ts';
import { describeTable } from '../../policy/table-name.ts';
import { errorCodeOf } from './database-error.ts';
import { quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';

export type TextRows = readonly (readonly (string | null)[])[];

const mostRows = 10_000;
/** On disk, and as text: what a copy may take of the server's time and of our memory. */
const mostBytes = 32 * 1024 * 1024;

export interface ReadRows {
  readonly rows?: TextRows;
  /** There are more rows than these. */
  readonly cut?: boolean;
  /** Why there are none. */
  readonly refusal?: string;
}

/** All rows of a small table, or the `first` so many of any; on the session alone, in a transaction of its own. Throws what is neither size nor privilege. */
export async function readRealRows(query: RunQuery, table: ObservedTable, { first }: { readonly first?: number } = {}): Promise<ReadRows> {
  const name = describeTable(table.table);
  if (table.relationKind !== 'r' && table.relationKind !== 'p') return { refusal: `${name} is no table` };
  try {
    await query('begin isolation level repeatable read read only');
    // Off means: an error where rows would be hidden, never fewer rows.
    await query(`set local row_security = off; set local statement_timeout = '5s'`);
    const limit = first ?? mostRows;
    const size = await sizeOf(query, table, { limit, sample: first !== undefined });
    if ((size.rows > limit && first === undefined) || size.bytes > mostBytes) return { refusal: `${name} has more than ${mostRows.toLocaleString('en')} rows or ${mostBytes / 1024 / 1024} MiB` };
    return { rows: await textRows(query, table, limit), cut: size.rows > limit };
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === '42501') return { refusal: `our role may not read all rows of ${name}: it needs SELECT and BYPASSRLS` };
    if (code === '57014' || code === '55P03') return { refusal: `${name} could not be read in time` };
    throw error;
  } finally {
    await query('rollback');
  }
}

async function sizeOf(query: RunQuery, table: ObservedTable, { limit, sample }: { readonly limit: number; readonly sample: boolean }): Promise<{ rows: number; bytes: number }> {
  const [stored] = await query<{ bytes: string }>(
    `select coalesce(sum(pg_table_size(t.relid)), 0)::text as bytes from (select relid from pg_partition_tree($1::oid) union select $1::oid) as t`,
    [table.oid],
  );
  if (!sample && Number(stored?.bytes) > mostBytes) return { rows: 0, bytes: Number(stored?.bytes) };
  const [read] = await query<{ rows: number; bytes: string }>(
    `select count(*)::int as rows, coalesce(sum(octet_length(format('%s', r))), 0)::text as bytes from (select * from ${quoteTable(table.table)} limit ${limit + 1}) as r`,
  );
  return { rows: read?.rows ?? 0, bytes: Number(read?.bytes) };
}

/** By `format`, which calls a type's output function: a cast to text may be somebody's own function. */
async function textRows(query: RunQuery, { table, columns }: ObservedTable, limit: number): Promise<TextRows> {
  const list = columns.map(({ name }, index) => `case when ${quoteName(name)} is not distinct from null then null else format('%s', ${quoteName(name)}) end as c${index}`);
  const rows = await query<Record<string, string | null>>(`select ${list.length === 0 ? 'null as none' : list.join(', ')} from ${quoteTable(table)} limit ${limit}`);
  return rows.map((row) => columns.map((_column, index) => row[`c${index}`] ?? null));
}

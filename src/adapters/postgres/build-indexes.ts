// Makes the indexes that rules filter by, on a connection of its own, without blocking writers; whatever a crash left is found and finished (DESIGN §5, Applying).
import { type IndexNeed, indexName } from '../../policy/index-work.ts';
import type { TableName } from '../../policy/table-name.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import type { RenderedStep } from '../../ports/policy-database.ts';
import { connectClient, endClient, wireOf } from './connection.ts';
import { statementError } from './database-error.ts';
import { quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';
import { prepareSession } from './session-start.ts';

const indexPurpose = 'index';

export function renderIndexes(needs: readonly IndexNeed[]): readonly RenderedStep[] {
  return needs.map(({ table, oid, column, partitioned }) => ({
    sql: partitioned ? createOnly(table, oid, column) : createConcurrently(table, oid, column),
    why: `the rules look for rows by ${column}, and no index begins with it${partitioned ? '; each partition gets its part concurrently, and then it is attached' : ''}`,
    widening: false,
  }));
}

/** One after the other; each may take hours. An abort ends the connection, and what is left behind is rebuilt by the next attempt. */
export async function buildIndexes(target: ConnectionTarget, needs: readonly IndexNeed[], signal: AbortSignal): Promise<void> {
  const client = await connectClient(target, { purpose: indexPurpose }, signal);
  const cut = () => wireOf(client).stream.destroy(new Error('the index build was given up'));
  signal.addEventListener('abort', cut, { once: true });
  const query: RunQuery = async <Row extends object>(text: string, values: readonly unknown[] = []) => (await client.query<Row>(text, [...values])).rows;
  try {
    await prepareSession(query);
    // Neither the building nor its waiting for older transactions has a limit; both hold up nobody.
    await query('set statement_timeout = 0');
    for (const { oid, column } of needs) await ensureIndex(query, oid, column);
  } catch (error) {
    signal.throwIfAborted();
    throw statementError(error, 'creating an index', needs.map(({ table, column }) => `${table.schema}.${table.table} (${column})`).join(', '));
  } finally {
    signal.removeEventListener('abort', cut);
    await endClient(client);
  }
}

interface TableRow {
  readonly schema: string;
  readonly table: string;
  readonly kind: string;
}

/** The index in SQL; undefined for a table that is gone, or can't have one. */
async function ensureIndex(query: RunQuery, oid: number, column: string): Promise<string | undefined> {
  const [row] = await query<TableRow>(
    `select n.nspname::text as schema, c.relname::text as table, c.relkind::text as kind from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1::oid`,
    [oid],
  );
  if (row === undefined || !['r', 'p'].includes(row.kind)) return undefined;
  const name = indexIn(row, oid, column);
  const [existing] = await query<{ valid: boolean }>('select i.indisvalid as valid from pg_catalog.pg_index i where i.indrelid = $1::oid and i.indexrelid = to_regclass($2)', [oid, name]);
  await (row.kind === 'p' ? ensureWhole(query, { row, oid, column, name, exists: existing !== undefined }) : ensureLeaf(query, { row, oid, column, name, valid: existing?.valid }));
  return name;
}

/** If we die while it is built, it stays behind invalid, is kept up by every write and serves nobody: it goes, and is built again. */
async function ensureLeaf(query: RunQuery, { row, oid, column, name, valid }: { readonly row: TableRow; readonly oid: number; readonly column: string; readonly name: string; readonly valid: boolean | undefined }): Promise<void> {
  if (valid === true) return;
  await query('set lock_timeout = 0');
  if (valid === false) await query(`drop index concurrently if exists ${name}`);
  await query(createConcurrently(row, oid, column));
}

/** An index of the partitioned table alone is invalid until each partition's part is attached; a partition made from now on brings its part along. */
async function ensureWhole(query: RunQuery, { row, oid, column, name, exists }: { readonly row: TableRow; readonly oid: number; readonly column: string; readonly name: string; readonly exists: boolean }): Promise<void> {
  // These locks do hold up writers, so nobody may queue behind us for long.
  await query(`set lock_timeout = '2s'`);
  if (!exists) await query(createOnly(row, oid, column));
  const open = await query<{ oid: number }>(
    `select i.inhrelid::int8::float8 as oid from pg_catalog.pg_inherits i where i.inhparent = $1::oid
        and not exists (select from pg_catalog.pg_inherits a join pg_catalog.pg_index x on x.indexrelid = a.inhrelid where a.inhparent = to_regclass($2) and x.indrelid = i.inhrelid and x.indisvalid)
      order by i.inhrelid`,
    [oid, name],
  );
  for (const partition of open) {
    const part = await ensureIndex(query, partition.oid, column);
    await query(`set lock_timeout = '2s'`);
    if (part !== undefined) await query(`alter index ${name} attach partition ${part}`);
  }
}

function createConcurrently(table: TableName, oid: number, column: string): string {
  return `create index concurrently ${quoteName(indexName(oid, table.table, column))} on ${quoteTable(table)} (${quoteName(column)})`;
}

function createOnly(table: TableName, oid: number, column: string): string {
  return `create index ${quoteName(indexName(oid, table.table, column))} on only ${quoteTable(table)} (${quoteName(column)})`;
}

/** An index lies in its table's schema. */
function indexIn({ schema, table }: TableName, oid: number, column: string): string {
  return quoteTable({ schema, table: indexName(oid, table, column) });
}

/** How far it is, in words; undefined when nothing is being built. */
export async function indexProgress(query: RunQuery): Promise<string | undefined> {
  const [row] = await query<{ name: string; phase: string; done: string; total: string }>(
    `select p.relid::regclass::text as name, p.phase, p.blocks_done as done, p.blocks_total as total from pg_catalog.pg_stat_progress_create_index p
       join pg_catalog.pg_stat_activity a on a.pid = p.pid where p.datname = current_database() and a.usename = session_user and a.application_name like $1`,
    [`%${indexPurpose}`],
  );
  if (row === undefined) return undefined;
  const share = Number(row.total) > 0 ? `, ${Math.floor((100 * Number(row.done)) / Number(row.total))} %` : '';
  return `${row.name}: ${row.phase}${share}`;
}

// A session that reads a database as an exported snapshot shows it, whatever is committed meanwhile (DESIGN §5, Baseline).
import type pg from 'pg';
import { RowsealError } from '../../model/errors.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import type { Snapshot, SnapshotRow, SnapshotTable } from '../../ports/snapshot.ts';
import { connectClient, endClient, wireOf } from './connection.ts';
import { copyOut } from './copy-out.ts';
import { describeTarget, errorCodeOf, statementError } from './database-error.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';
import { readSnapshotTables } from './snapshot-catalog.ts';
import { rowParser } from './snapshot-row.ts';
import type { ExportedSnapshot } from './snapshot-slot.ts';
import { prepareStream } from './stream-session.ts';

export interface SnapshotRequest {
  readonly target: ConnectionTarget;
  readonly exported: ExportedSnapshot;
  readonly publication: string;
}

/**
 * Values are written as the stream writes them, no row may be hidden silently, and no limit of the role's may end a long reading.
 * Local, so that nothing else is left of this session than what it reads.
 */
const settings = [
  ['row_security', 'off'],
  ['statement_timeout', '0'],
  ['lock_timeout', '10s'],
  ['idle_in_transaction_session_timeout', '0'],
] as const;

/** A snapshot that can wait for its reader without keeping the process alive. */
export interface WaitingSnapshot extends Snapshot {
  setWaiting(waiting: boolean): void;
}

/** Imports the snapshot and lets the exporting connection go. */
export async function openSnapshot({ target, exported, publication }: SnapshotRequest, signal: AbortSignal): Promise<WaitingSnapshot> {
  const object = describeTarget(target);
  const client = await connectClient(target, { purpose: 'baseline' }, signal).catch(async (error: unknown) => {
    await exported.release();
    throw error;
  });
  const query: RunQuery = async (text, values = []) => {
    signal.throwIfAborted();
    return (await client.query(text, [...values])).rows as never;
  };
  try {
    await prepareStream(client);
    await client.query('begin isolation level repeatable read read only');
    await client.query(`set transaction snapshot ${quoteLiteral(exported.name)}`);
    for (const [name, value] of settings) await client.query(`set local ${name} = ${quoteLiteral(value)}`);
  } catch (error) {
    await endClient(client);
    signal.throwIfAborted();
    throw statementError(error, 'importing a snapshot', object);
  } finally {
    await exported.release();
  }
  return {
    lsn: exported.lsn,
    tables: async (declared) => {
      try {
        return await readSnapshotTables(query, declared, publication);
      } catch (error) {
        throw statementError(error, 'reading the tables of a snapshot', object);
      }
    },
    rows: (table, readSignal) => readRows(client, table, readSignal),
    close: () => endClient(client),
    setWaiting: (waiting) => (waiting ? wireOf(client).stream.unref() : wireOf(client).stream.ref()),
  };
}

async function* readRows(client: pg.Client, table: SnapshotTable, signal: AbortSignal): AsyncGenerator<readonly SnapshotRow[]> {
  const { schema, table: name, columns, oid } = table.shape;
  const object = `table ${schema}.${name}`;
  const only = quoteTable({ schema, table: name });
  const parse = rowParser(table);
  // An error must not end the transaction, and the snapshot with it, before the other tables are read.
  await client.query('savepoint reading');
  try {
    await client.query(`lock table only ${only} in access share mode`);
    if (!(await standsUnchanged(client, oid, only))) throw outdated(object);
    const list = columns.map((column) => quoteName(column.name)).join(', ');
    for await (const lines of copyOut(client, `copy (select ${list} from only ${only}) to stdout`, signal)) yield lines.map(parse);
    // Gives the lock back: whoever wants to change this table need not wait for all the others to be read.
    await client.query('rollback to savepoint reading');
  } catch (error) {
    signal.throwIfAborted();
    await client.query('rollback to savepoint reading').catch(() => undefined);
    if (['42P01', '42703', '3F000'].includes(errorCodeOf(error) ?? '')) throw outdated(object, error);
    throw statementError(error, 'reading the rows of a snapshot', object);
  }
}

/**
 * TRUNCATE and rewriting ALTER TABLE empty a table for older snapshots, too. With the lock held neither can happen any more; the
 * catalog as the snapshot sees it against the file in use says whether one has.
 */
async function standsUnchanged(client: pg.Client, oid: number, name: string): Promise<boolean> {
  const { rows } = await client.query<{ same: boolean | null }>(
    'select c.relfilenode = pg_relation_filenode(c.oid) and c.oid = to_regclass($2)::oid as same from pg_class c where c.oid = $1',
    [oid, name],
  );
  return rows[0]?.same === true;
}

function outdated(object: string, cause?: unknown): RowsealError {
  return new RowsealError('SnapshotOutdated', 'the table was truncated, rewritten or changed after the snapshot, which no longer shows its rows', {
    object,
    next: 'it is read again from a newer snapshot',
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

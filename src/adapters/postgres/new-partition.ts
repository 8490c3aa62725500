// A table that the stream brought before the configuration named it: its place among partitions, as the transaction that made it left it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { PresentColumns } from '../../model/audited-columns.ts';
import type { FoundPartition } from '../../ports/audit-database.ts';
import { presentColumns } from './column-catalog.ts';
import type { RunQuery } from './session.ts';

interface Table {
  readonly oid: number;
  /** Of the transaction that wrote to it. */
  readonly xid: number;
}

/** Each look is a turn of its own on the session. */
type Look = <T>(action: (query: RunQuery) => Promise<T>) => Promise<T>;

/** A commit that waits for a synchronous standby is decoded, but visible to nobody until the standby answers. */
const visibleDeadlineMs = 30_000;
const pauseMs = 10;

/**
 * The walsender may send a transaction before others see it: its commit record is flushed first, and only then does it leave
 * the list of the running ones, and last of all its lock on its own xid. So that lock is waited for. Undefined: it is gone.
 */
export async function findPartition(look: Look, { oid, xid }: Table, signal: AbortSignal): Promise<FoundPartition | undefined> {
  await untilVisible(look, xid, signal);
  return look((query) => readPartition(query, oid));
}

/** What the columns of a table are, at that transaction's commit or later; undefined: it is gone. */
export async function findColumns(look: Look, { oid, xid }: Table, signal: AbortSignal): Promise<PresentColumns | undefined> {
  if (!(await untilVisible(look, xid, signal))) return undefined;
  return (await look((query) => presentColumns(query, [oid]))).get(oid);
}

async function untilVisible(look: Look, xid: number, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + visibleDeadlineMs;
  for (;;) {
    if (!(await look((query) => isHeld(query, xid)))) return true;
    if (performance.now() >= deadline) return false;
    await sleep(pauseMs, undefined, { signal });
  }
}

async function isHeld(query: RunQuery, xid: number): Promise<boolean> {
  const [row] = await query<{ held: boolean }>(
    `select exists (select from pg_locks where locktype = 'transactionid' and transactionid::text = $1 and granted and mode = 'ExclusiveLock') as held`,
    [String(xid)],
  );
  return row?.held === true;
}

async function readPartition(query: RunQuery, oid: number): Promise<FoundPartition | undefined> {
  const [row] = await query<{ ancestors: readonly string[]; key: readonly string[] }>(
    `select array(select a.relid::oid::int8::text from pg_partition_ancestors(c.oid) with ordinality as a(relid, n) where a.relid <> c.oid order by a.n) as ancestors,
       array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where i.indrelid = c.oid and i.indisprimary order by a.attname) as key
     from pg_class c where c.oid = $1`,
    [oid],
  );
  if (row === undefined) return undefined;
  const ancestors = row.ancestors.map(Number);
  return { ancestors, key: row.key, columns: await presentColumns(query, [oid, ...ancestors]) };
}

// What a fresh session must pass before anything is applied through it: no pooler, known settings, the only one of its kind.
import type pg from 'pg';
import { RowsealError } from '../../model/errors.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { describeTarget } from './database-error.ts';
import type { RunQuery } from './run-query.ts';

/** `rowseal` in ASCII. A session lock on it, per database, marks the one session that may apply. */
export const advisoryLockKey = 0x726f777365616cn;
/** The same key as pg_locks shows it, with objsubid 1. */
export const advisoryLockParts = { classid: Number(advisoryLockKey >> 32n), objid: Number(advisoryLockKey & 0xffff_ffffn) } as const;

const settings = [
  // Our own temporary schema last: otherwise it is searched first, unsaid.
  ['search_path', 'pg_catalog, pg_temp'],
  ['standard_conforming_strings', 'on'],
  ['statement_timeout', '60s'],
  ['lock_timeout', '2s'],
  ['idle_in_transaction_session_timeout', '120s'],
  ['row_security', 'on'],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'UTC'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
] as const;

/** Fixes every setting that changes what our statements mean or how values are written. */
export async function prepareSession(query: RunQuery): Promise<void> {
  for (const [name, value] of settings) await query('select pg_catalog.set_config($1, $2, false)', [name, value]);
}

/** A pooler gives keys of its own to its clients, so the process id of the greeting is not the one that answers. */
export async function refusePooler(client: pg.Client, query: RunQuery, target: ConnectionTarget): Promise<void> {
  const greeted = (client as unknown as { readonly processID: number | null }).processID;
  const [row] = await query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  if (row !== undefined && row.pid === greeted) return;
  throw new RowsealError('BadSecret', 'the connection goes through a pooler, where a session lock protects nothing', {
    object: describeTarget(target),
    next: 'give host and port of PostgreSQL itself, in the Secret or in spec.connection.overrides',
  });
}

interface LockHolder {
  readonly pid: number;
  readonly role: string | null;
  /** Logged in as the role that we are. */
  readonly ours: boolean;
  readonly application: string | null;
  readonly client: string | null;
}

/** What to do about a session of our own role that has the lock; the lock is tried once more afterwards. */
export type OnHeld = (query: RunQuery, holder: LockHolder) => Promise<void>;

/** Takes the lock or says who has it. If we die holding it, the server drops it with the session. */
export async function holdAdvisoryLock(query: RunQuery, target: ConnectionTarget, onHeld?: OnHeld): Promise<void> {
  if (await tryLock(query)) return;
  const holder = await lockHolder(query);
  if (holder?.ours === true && onHeld !== undefined) {
    await onHeld(query, holder);
    if (await tryLock(query)) return;
  }
  throw heldByAnother(target, holder);
}

async function tryLock(query: RunQuery): Promise<boolean> {
  const [row] = await query<{ held: boolean }>('select pg_catalog.pg_try_advisory_lock($1::bigint) as held', [advisoryLockKey.toString()]);
  return row?.held === true;
}

async function lockHolder(query: RunQuery): Promise<LockHolder | undefined> {
  const [holder] = await query<LockHolder>(
    `select l.pid, a.usename as role, coalesce(a.usename = session_user, false) as ours, a.application_name as application, a.client_addr::text as client
       from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid = $1::oid and l.objid = $2::oid
        and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`,
    [advisoryLockParts.classid, advisoryLockParts.objid],
  );
  return holder;
}

/** Any role can take an advisory lock, so that a stranger could keep us out; who it is has to be said. */
function heldByAnother(target: ConnectionTarget, holder: LockHolder | undefined): RowsealError {
  const application = holder?.application === null || holder === undefined ? '' : ` (${JSON.stringify(holder.application)} from ${holder.client ?? 'a socket'})`;
  const stranger = holder !== undefined && !holder.ours;
  const who = holder === undefined ? 'another session' : `process ${holder.pid}${application}${stranger ? ` of role ${JSON.stringify(holder.role)}` : ''}`;
  return new RowsealError('DatabaseConflict', `another operator applies here: ${who} holds Rowseal's advisory lock`, {
    object: describeTarget(target),
    next: stranger ? `if it is no operator of yours, end it: SELECT pg_terminate_backend(${holder.pid})` : 'stop the other one; this one takes over by itself',
    retryable: true,
  });
}

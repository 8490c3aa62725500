// The replication slot of one log: what the server still keeps for us, and making a new one.
import { type Lsn, parseLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { SlotFacts } from '../../ports/audit-database.ts';
import type { RunQuery } from './session.ts';

interface SlotRow {
  readonly confirmed: string | null;
  readonly restart: string | null;
  readonly wal_status: string | null;
  readonly reason: string | null;
  readonly active_pid: number | null;
  readonly ours: boolean;
}

/** Undefined when there is no such slot. */
export async function readSlot(query: RunQuery, name: string, versionNumber: number): Promise<SlotFacts | undefined> {
  const [row] = await query<SlotRow>(
    `select confirmed_flush_lsn::text as confirmed, restart_lsn::text as restart, wal_status, active_pid,
            slot_type = 'logical' and plugin = 'pgoutput' and database = current_database() and not temporary as ours,
            ${versionNumber >= 170000 ? 'invalidation_reason' : 'null::text'} as reason
       from pg_replication_slots where slot_name = $1`,
    [name],
  );
  if (row === undefined) return undefined;
  return {
    name,
    ours: row.ours,
    ...(row.confirmed === null ? {} : { confirmedFlushLsn: parseLsn(row.confirmed) }),
    usable: row.restart !== null && row.wal_status !== 'lost' && row.reason === null,
    health: row.reason ?? row.wal_status ?? 'unknown',
    ...(row.active_pid === null ? {} : { activePid: row.active_pid }),
  };
}

/**
 * Outside of a transaction, since creating a slot must not have written before. If we die after it, the restart finds a slot
 * that nothing sealed stands for, and makes it anew: nothing was promised of it.
 */
export async function createSlot(query: RunQuery, name: string, versionNumber: number): Promise<Lsn> {
  await dropSlot(query, name);
  const failover = versionNumber >= 170000 ? ', failover => true' : '';
  const [row] = await query<{ lsn: string }>(`select lsn::text as lsn from pg_create_logical_replication_slot($1, 'pgoutput'${failover})`, [name]);
  if (row === undefined) throw new RowsealError('DatabaseStatement', 'the server created no slot', { object: `slot ${name}`, retryable: true });
  return parseLsn(row.lsn);
}

/** A process that still streams from it is ended first: it can only be an earlier one of ours. */
export async function dropSlot(query: RunQuery, name: string): Promise<void> {
  await query(
    `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1 and active_pid is not null`,
    [name],
  );
  // One of this name in another database can only be dropped there: creating ours then says so.
  await query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and coalesce(database = current_database(), true)', [name]);
}

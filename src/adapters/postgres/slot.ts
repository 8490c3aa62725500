// The replication slot of one log: what the server still keeps for us, and making a new one.
import { parseLsn } from '../../model/branded.ts';
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

/** A process that still streams from it is ended first: it can only be an earlier one of ours. */
export async function dropSlot(query: RunQuery, name: string): Promise<void> {
  await query(
    `select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1 and active_pid is not null`,
    [name],
  );
  // One of this name in another database can only be dropped there: creating ours then says so.
  await query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and coalesce(database = current_database(), true)', [name]);
}

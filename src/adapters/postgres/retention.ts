// What the server keeps for a slot, for how long it will, and whether a failover would lose it.
import type { SlotRetention } from '../../ports/audit-database.ts';
import type { RunQuery } from './run-query.ts';

interface Row {
  readonly retained: string | null;
  readonly safe: string | null;
  readonly unlimited: boolean;
  readonly ahead: boolean;
}

/** Undefined when there is no such slot. */
export async function readRetention(query: RunQuery, name: string, versionNumber: number): Promise<SlotRetention | undefined> {
  // A standby that streams physically may be promoted; without this setting our slot may be ahead of it.
  const ahead = versionNumber >= 170000 ? `s.failover and current_setting('synchronized_standby_slots') = '' and exists (select from pg_replication_slots where slot_type = 'physical')` : 'false';
  const [row] = await query<Row>(
    `select (pg_current_wal_lsn() - s.restart_lsn)::text as retained, s.safe_wal_size::text as safe,
            (select setting::int < 0 from pg_settings where name = 'max_slot_wal_keep_size') as unlimited, ${ahead} as ahead
       from pg_replication_slots s where s.slot_name = $1`,
    [name],
  );
  if (row === undefined) return undefined;
  return {
    retainedBytes: Number(row.retained ?? 0),
    ...(row.safe === null ? {} : { safeBytes: Number(row.safe) }),
    unlimited: row.unlimited,
    aheadOfStandbys: row.ahead,
  };
}

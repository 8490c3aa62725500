// What an AuditPolicy's status says of lag and of the slot: whether the capture keeps up, and whether the server would keep what it has not read.
import type { ConditionUpdate } from '../model/condition.ts';
import type { AuditStatus } from '../ports/audit-runtime.ts';

const mib = 1024 * 1024;
const laggingBytes = 1024 * mib;
const laggingSeconds = 60;
const endangeredBytes = 256 * mib;

/** Messages hold no figures, so that a status changes only when something does. */
export function slotConditions({ lagBytes, lagSeconds, retention }: Pick<AuditStatus, 'lagBytes' | 'lagSeconds' | 'retention'>): readonly ConditionUpdate[] {
  const lagging = lagBytes >= laggingBytes || lagSeconds >= laggingSeconds;
  const caughtUp: ConditionUpdate = lagging
    ? { type: 'CaughtUp', status: 'False', reason: 'Lagging', message: 'sealing is more than a minute or 1 GiB of WAL behind the database; see lagBytes and lagSeconds' }
    : { type: 'CaughtUp', status: 'True', reason: 'KeepsUp', message: 'what is committed is sealed soon' };
  return retention === undefined ? [caughtUp] : [caughtUp, slotSafe(retention)];
}

/** The most urgent one is told. */
function slotSafe({ safeBytes, unlimited, aheadOfStandbys }: NonNullable<AuditStatus['retention']>): ConditionUpdate {
  if (safeBytes !== undefined && safeBytes < endangeredBytes) {
    return unsafe('Endangered', 'the server will soon throw away WAL that is not sealed yet; find out why the capture does not keep up, or raise max_slot_wal_keep_size');
  }
  if (aheadOfStandbys) {
    return unsafe('AheadOfStandbys', 'a failover may lose changes that are sealed already: name the slots of the standbys in synchronized_standby_slots');
  }
  if (unlimited) {
    return unsafe('UnlimitedRetention', 'max_slot_wal_keep_size is not set: while the capture is away, WAL is kept until the disk is full; set it to what the disk can spare');
  }
  return { type: 'SlotSafe', status: 'True', reason: 'Protected', message: 'the server keeps what is not sealed, within limits' };
}

function unsafe(reason: string, message: string): ConditionUpdate {
  return { type: 'SlotSafe', status: 'False', reason, message };
}

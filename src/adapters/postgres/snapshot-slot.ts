// Slots made on a walsender connection, since only that exports the snapshot that belongs to a slot's start (DESIGN §5, Baseline).
import { type Lsn, parseLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, endClient, wireOf } from './connection.ts';
import { describeTarget, statementError } from './database-error.ts';
import { untilAborted } from './mutex.ts';
import { quoteName } from './quote.ts';

export interface SlotRequest {
  readonly target: ConnectionTarget;
  readonly name: string;
  /** Goes with the connection that made it. */
  readonly temporary: boolean;
  /** Whether standbys may keep it in step; from PostgreSQL 17 on. */
  readonly failover: boolean;
}

export interface ExportedSnapshot {
  /** Where the slot starts, and what the snapshot sees. */
  readonly lsn: Lsn;
  readonly name: string;
  /** Ends the exporting connection: a session that imported the snapshot keeps it. */
  release(): Promise<void>;
}

/** Creating waits for the transactions that are open; one that stays open longer is worth a message. */
const createDeadlineMs = 60_000;

/** If we die after it, a permanent slot stays without anything sealed for it, and the restart makes it anew. */
export async function createExportingSlot(request: SlotRequest, signal: AbortSignal): Promise<ExportedSnapshot> {
  const { target, name, temporary, failover } = request;
  const client = await connectClient(target, { replication: 'database', purpose: 'snapshot' }, signal);
  try {
    const options = ["SNAPSHOT 'export'", ...(failover ? ['FAILOVER true'] : [])].join(', ');
    const text = `CREATE_REPLICATION_SLOT ${quoteName(name)} ${temporary ? 'TEMPORARY ' : ''}LOGICAL pgoutput (${options})`;
    const created = client.query<{ consistent_point: string; snapshot_name: string | null }>(text);
    const { rows } = await untilAborted(created, AbortSignal.any([signal, AbortSignal.timeout(createDeadlineMs)]));
    const [row] = rows;
    if (row === undefined || row.snapshot_name === null) throw new Error('the server exported no snapshot');
    return { lsn: parseLsn(row.consistent_point), name: row.snapshot_name, release: () => endClient(client) };
  } catch (error) {
    // A half-made slot goes with its connection.
    wireOf(client).stream.destroy();
    signal.throwIfAborted();
    const object = `slot ${name} in ${describeTarget(target)}`;
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      throw new RowsealError('WaitingForLock', 'the slot waits for a transaction that stays open', { object, next: 'end the oldest transactions of pg_stat_activity; it is tried again', retryable: true });
    }
    throw statementError(error, 'creating a slot with its snapshot', object);
  }
}

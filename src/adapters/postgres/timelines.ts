// The timelines of a server: its own, and those it left when it was promoted.
import { parseLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { Lineage, PastTimeline } from '../../log/source-state.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, endClient } from './connection.ts';
import { describeTarget, statementError } from './database-error.ts';

/** On a walsender connection, since only that shows the history to a role that is no superuser. */
export async function readLineage(target: ConnectionTarget, signal: AbortSignal): Promise<Lineage> {
  const client = await connectClient(target, { replication: 'database', purpose: 'audit' }, signal);
  try {
    const { rows } = await client.query<{ timeline: number | string }>('IDENTIFY_SYSTEM');
    const timeline = Number(rows[0]?.timeline);
    // The first timeline has no history file.
    if (timeline === 1) return { timeline, past: [] };
    const history = await client.query<{ content: Buffer | string }>(`TIMELINE_HISTORY ${timeline}`);
    return { timeline, past: parseHistory(history.rows[0]?.content.toString() ?? '', target) };
  } catch (error) {
    signal.throwIfAborted();
    throw statementError(error, 'reading the timelines', describeTarget(target));
  } finally {
    await endClient(client);
  }
}

/** Lines `timeline <tab> LSN where it ends <tab> reason`, oldest first; `#` begins a comment. */
function parseHistory(text: string, target: ConnectionTarget): readonly PastTimeline[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  return lines.map((line) => {
    const match = /^\s*(\d{1,10})\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line);
    if (match === null) throw new RowsealError('DatabaseStatement', 'the timeline history cannot be read', { object: describeTarget(target), retryable: true });
    return { timeline: Number(match[1]), end: parseLsn(match[2] ?? '') };
  });
}

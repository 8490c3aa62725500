// The rows that a table had when its baseline was taken: one entry a row, the last one saying how many there were (DESIGN §5, Baseline).
import { formatLsn } from '../model/branded.ts';
import type { Snapshot, SnapshotRow, SnapshotTable } from '../ports/snapshot.ts';
import { canonical } from './actor.ts';
import type { BaselineEntries } from './baseline-entries.ts';

/** Throws what reading and sealing throw; then no entry of this snapshot is the last one of the table. */
export async function sealBaseline(table: SnapshotTable, { snapshot, entries }: { snapshot: Snapshot; entries: BaselineEntries }, signal: AbortSignal): Promise<void> {
  const id = `${formatLsn(snapshot.lsn)}/${table.shape.oid}`;
  const object = await entries.describe(table);
  const each = canonical({ id });
  let rows = 0;
  let held: SnapshotRow | undefined;
  for await (const chunk of snapshot.rows(table, signal)) {
    for (const row of chunk) {
      if (held !== undefined) await entries.add({ type: 'baseline', change: `{"after":${held.row}}`, key: held.key, object, extra: { baseline: each } });
      held = row;
      rows += 1;
    }
  }
  const last = canonical({ id, last: true, rows });
  // An empty table has one entry, too: that it was empty is a fact.
  const change = held === undefined ? undefined : `{"after":${held.row}}`;
  await entries.add({ type: 'baseline', change, key: held?.key, object, extra: { baseline: last } });
}

// What an independent reader makes of a log: the rows of one table, from its last whole baseline and every change after it.
import { type Lsn, parseLsn } from '../../src/model/branded.ts';
import type { CapturedEntry } from './memory-writer.ts';

interface Said {
  readonly type: string;
  readonly source: { readonly incarnation: number; readonly lsn: string; readonly commitLsn?: string; readonly seq: number };
  readonly object?: { readonly table: string; readonly key?: Record<string, string | null> };
  readonly change?: { readonly before?: Record<string, unknown>; readonly after?: Record<string, unknown> };
  readonly gap?: { readonly survived?: string };
  readonly baseline?: { readonly id: string; readonly last?: true; readonly rows?: number };
}

type Place = readonly [incarnation: number, lsn: Lsn, seq: number];

/** Rows as JSON of their sorted columns, sorted. Entries are ordered by position, not by where they stand in the log. */
export function replayedTable(entries: readonly CapturedEntry[], table: string): readonly string[] {
  const own = entries.map((entry) => entry as unknown as Said).filter((entry) => entry.object?.table === table);
  const whole = own.filter((entry) => entry.baseline?.last === true).at(-1);
  if (whole?.baseline === undefined) throw new Error(`no whole baseline of ${table}`);
  const base = placeOf(whole);
  const rows = new Map<string, string>();
  const counted = own.filter((entry) => entry.type.startsWith('row.') || entry.type === 'gap.reconciled' || entry.baseline?.id === whole.baseline?.id);
  // What a server that went back no longer has never happened (docs/audit.md).
  const rewinds = entries.map((entry) => entry as unknown as Said).filter((entry) => entry.type === 'gap.rewound');
  const happened = ([incarnation, at]: Place): boolean => !rewinds.some(({ source, gap }) => incarnation < source.incarnation && at >= parseLsn(gap?.survived ?? '0/0'));
  const ordered = counted.map((entry) => ({ entry, at: placeOf(entry) })).sort((a, b) => compare(a.at, b.at));
  for (const { entry, at } of ordered) {
    if (compare(at, [base[0], base[1], -1]) < 0 || !happened(at)) continue;
    if (entry.type === 'row.truncate') rows.clear();
    else apply(rows, entry);
  }
  return [...rows.values()].sort();
}

function apply(rows: Map<string, string>, { object, change }: Said): void {
  if (change === undefined) return;
  const key = JSON.stringify(object?.key);
  const names = Object.keys(object?.key ?? {});
  if (change.before !== undefined) rows.delete(JSON.stringify(Object.fromEntries(names.map((name) => [name, change.before?.[name]]))));
  if (change.after === undefined) rows.delete(key);
  else rows.set(key, rowText(change.after));
}

/** Columns in the order of their names. */
export function rowText(row: Record<string, unknown>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** A baseline and a reconciled gap hold at their LSN, before a commit that starts there. */
function placeOf({ type, source }: Said): Place {
  if (type.startsWith('row.')) return [source.incarnation, parseLsn(source.commitLsn ?? source.lsn), source.seq];
  return [source.incarnation, parseLsn(source.lsn), -1];
}

function compare(a: Place, b: Place): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : a[2] - b[2]);
}

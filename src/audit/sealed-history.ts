// The transactions that a source has sealed, read back from the log: what a server may turn out to lack.
import { type Entry, parseEntry } from '../log/entry.ts';
import { type Lsn, parseLsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { LogWriter } from '../ports/log-writer.ts';

export interface SealedTransaction {
  readonly commitLsn: Lsn;
  readonly xid: number;
  /** RFC 3339, of the commit. */
  readonly time: string;
  /** Row entries; all of those between the two leaves that are of this source. */
  readonly changes: number;
  readonly firstLeaf: number;
  readonly lastLeaf: number;
}

/** Those of the state's incarnation that commit at `from` or later, in order; nothing where the log cannot be read back. */
export async function* sealedTransactions(writer: LogWriter, { sealed, from }: { sealed: SourceState; from: Lsn }, signal: AbortSignal): AsyncGenerator<SealedTransaction> {
  if (writer.sealed === undefined) return;
  const { incarnation } = sealed.position;
  let current: SealedTransaction | undefined;
  for await (const { leafIndex, row } of rows(writer, { source: sealed.source, fromLeaf: await firstLeaf(writer, { sealed, from }, signal) }, signal)) {
    if (row.incarnation !== incarnation || row.commitLsn < from) continue;
    if (current?.commitLsn === row.commitLsn) {
      current = { ...current, changes: current.changes + 1, lastLeaf: leafIndex };
      continue;
    }
    if (current !== undefined) yield current;
    current = { commitLsn: row.commitLsn, xid: row.xid, time: row.time, changes: 1, firstLeaf: leafIndex, lastLeaf: leafIndex };
  }
  if (current !== undefined) yield current;
}

interface SealedRow {
  readonly incarnation: number;
  readonly commitLsn: Lsn;
  readonly xid: number;
  readonly time: string;
}

/** Halves the log until what comes before is earlier: positions of a source only grow. */
async function firstLeaf(writer: LogWriter, { sealed, from }: { sealed: SourceState; from: Lsn }, signal: AbortSignal): Promise<number> {
  let low = 0;
  let high = writer.status().sealedSize;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const next = await firstRow(writer, { source: sealed.source, fromLeaf: middle }, signal);
    if (next === undefined || !isBefore(next.row, { incarnation: sealed.position.incarnation, from })) high = middle;
    else low = next.leafIndex + 1;
  }
  return low;
}

function isBefore(row: SealedRow, { incarnation, from }: { incarnation: number; from: Lsn }): boolean {
  return row.incarnation < incarnation || (row.incarnation === incarnation && row.commitLsn < from);
}

interface RowsFrom {
  readonly source: string;
  readonly fromLeaf: number;
}

async function firstRow(writer: LogWriter, from: RowsFrom, signal: AbortSignal): Promise<{ leafIndex: number; row: SealedRow } | undefined> {
  for await (const found of rows(writer, from, signal)) return found;
  return undefined;
}

async function* rows(writer: LogWriter, { source, fromLeaf }: RowsFrom, signal: AbortSignal): AsyncGenerator<{ leafIndex: number; row: SealedRow }> {
  for await (const { leafIndex, entry } of writer.sealed?.(fromLeaf, signal) ?? []) {
    const row = rowOf(parseEntry(entry), source);
    if (row !== undefined) yield { leafIndex, row };
  }
}

function rowOf({ type, source, time }: Entry, name: string): SealedRow | undefined {
  if (!type.startsWith('row.') || source?.commitLsn === undefined || `postgresql/${source.system}/${source.database}` !== name) return undefined;
  return { incarnation: source.incarnation, commitLsn: parseLsn(source.commitLsn), xid: source.xid ?? 0, time };
}

// Net differences between what the log says of tables and what a snapshot holds: what a gap has swallowed (DESIGN §5, Slots, On loss).
import { formatLsn, parseLsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import type { Snapshot, SnapshotTable } from '../ports/snapshot.ts';
import { canonical, unattributed } from './actor.ts';
import type { BaselineEntries } from './baseline-entries.ts';
import { capturedTables, type TableProgress } from './baseline-progress.ts';
import { keyText, replayLog, type ReplayRequest, shareOf, treatedAs } from './replay-log.ts';
import type { ReplayedRows } from './replayed-rows.ts';

export interface ReconciledTable {
  readonly table: SnapshotTable;
  readonly progress: TableProgress;
  /** Ids of the gaps that are accounted for by this. */
  readonly gaps: Readonly<Record<string, string>>;
}

export interface ReconcileParts {
  readonly writer: LogWriter;
  readonly snapshot: Snapshot;
  readonly entries: BaselineEntries;
  /** The state of the WAL source as the round began. */
  readonly source: SourceState;
  /** Of rows that are held in memory at once; 64 MiB when left out. */
  readonly maxBytes?: number;
  /** From `replayTogether`. */
  readonly replayed?: ReadonlyMap<number, ReplayedRows>;
}

const defaultMaxBytes = 64 * 1024 * 1024;
/** A log is read at most so often for one gap. */
const maxShares = 64;

/**
 * Seals the differences of one table and, last, how many there were. Everything before the snapshot must be sealed. Resolves with
 * the reason, sealed as well, where the log does not give the table's rows.
 */
export async function reconcileTable(wanted: ReconciledTable, parts: ReconcileParts, signal: AbortSignal): Promise<string | undefined> {
  const found = await findDifferences(wanted, parts, signal);
  const { table, gaps } = wanted;
  const outcome = typeof found === 'string' ? { reconciled: false, why: found } : { differences: found, reconciled: true };
  const gap = canonical({ ...outcome, ids: idsOf(gaps), last: true, upTo: formatLsn(parts.snapshot.lsn) });
  const object = await parts.entries.describe(table);
  await parts.entries.add({ type: 'gap.reconciled', actor: unattributed, object, extra: { gap } });
  return typeof found === 'string' ? found : undefined;
}

/** What the log says of all these tables, read once, where that fits memory. */
export async function replayTogether(wanted: readonly ReconciledTable[], parts: ReconcileParts, signal: AbortSignal): Promise<ReadonlyMap<number, ReplayedRows>> {
  if (wanted.length < 2) return new Map();
  const outcome = await replayLog(requestOf(wanted, parts, { index: 0, count: 1 }), signal);
  if (outcome.kind === 'rows') return outcome.rows;
  // One whose rows are not to be had does not spoil it for the others, and is told so on its own.
  return outcome.kind === 'tooLarge' ? new Map() : replayTogether(wanted.filter(({ table }) => table.shape.oid !== outcome.oid), parts, signal);
}

function requestOf(wanted: readonly ReconciledTable[], { writer, source, snapshot, maxBytes }: ReconcileParts, share: ReplayRequest['share']): ReplayRequest {
  const [, system = '', ...database] = source.source.split('/');
  const captured = capturedTables(source);
  const tables = wanted.map(({ table, progress }) => ({
    oid: table.shape.oid,
    base: { incarnation: progress.base.incarnation, lsn: parseLsn(progress.base.lsn) },
    key: table.key,
    treated: treatedAs(captured.find(({ oid }) => oid === table.shape.oid)?.columns),
  }));
  const upTo = { incarnation: source.position.incarnation, lsn: snapshot.lsn };
  return { writer, system, database: database.join('/'), tables, upTo, share, maxBytes: maxBytes ?? defaultMaxBytes };
}

/** How many differences were sealed, or the reason why none can be found. */
async function findDifferences(wanted: ReconciledTable, parts: ReconcileParts, signal: AbortSignal): Promise<number | string> {
  const { oid } = wanted.table.shape;
  const found = { differences: 0 };
  const known = parts.replayed?.get(oid);
  if (known !== undefined) {
    await compare(wanted, parts, { rows: known, index: 0, count: 1, found, signal });
    return found.differences;
  }
  for (let count = 1, index = 0; index < count; index += 1) {
    const outcome = await replayLog(requestOf([wanted], parts, { index, count }), signal);
    if (outcome.kind === 'unknown') return outcome.why;
    if (outcome.kind === 'rows') await compare(wanted, parts, { rows: outcome.rows.get(oid), index, count, found, signal });
    else {
      // The shares before this one fitted, and are sealed; halves of the rest would overlap with them.
      if (index > 0 || count >= maxShares) return 'its rows do not fit memory';
      count *= 4;
      index = -1;
    }
  }
  return found.differences;
}

interface Comparing {
  readonly rows: ReplayedRows | undefined;
  readonly index: number;
  readonly count: number;
  readonly found: { differences: number };
  readonly signal: AbortSignal;
}

async function compare(wanted: ReconciledTable, parts: ReconcileParts, { rows, index, count, found, signal }: Comparing): Promise<void> {
  const seal = differenceSealer(wanted, parts);
  for await (const chunk of parts.snapshot.rows(wanted.table, signal)) {
    for (const { row, key } of chunk) {
      const text = key === undefined ? undefined : keyText(JSON.parse(key) as object, wanted.table.key);
      if (text === undefined || shareOf(text, count) !== index) continue;
      const before = rows?.take(text);
      if (before !== undefined && sameRow(before, row)) continue;
      found.differences += 1;
      await seal(before, row);
    }
  }
  for (const [, row] of rows?.rest() ?? []) {
    found.differences += 1;
    await seal(row, undefined);
  }
}

/** Columns that only one side has were added or dropped: no statement on rows did that. */
function sameRow(before: string, after: string): boolean {
  if (before === after) return true;
  const a = JSON.parse(before) as Record<string, unknown>;
  const b = JSON.parse(after) as Record<string, unknown>;
  return Object.keys(a).every((name) => !(name in b) || JSON.stringify(a[name]) === JSON.stringify(b[name]));
}

function differenceSealer({ table, gaps }: ReconciledTable, { entries }: ReconcileParts): (before: string | undefined, after: string | undefined) => Promise<void> {
  return async (before, after) => {
    const operation = before === undefined ? 'insert' : after === undefined ? 'delete' : 'update';
    const held = JSON.parse(after ?? before ?? '{}') as Record<string, unknown>;
    const key = canonical(Object.fromEntries(table.key.map((name) => [name, held[name]])));
    const change = [after === undefined ? [] : [`"after":${after}`], before === undefined ? [] : [`"before":${before}`]].flat().join(',');
    const object = await entries.describe(table);
    await entries.add({ type: 'gap.reconciled', actor: unattributed, change: `{${change}}`, key, object, extra: { gap: canonical({ ids: idsOf(gaps), operation }) } });
  };
}

function idsOf(gaps: Readonly<Record<string, string>>): readonly string[] {
  return Object.values(gaps).sort();
}


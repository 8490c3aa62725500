// One snapshot's worth of work: whole baselines first, then the gaps that can be reconciled; each table's progress is sealed with it.
import { formatLsn, type Lsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { AuditDatabase } from '../ports/audit-database.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import type { Snapshot, SnapshotTable } from '../ports/snapshot.ts';
import { BaselineEntries } from './baseline-entries.ts';
import { baselineSource, type BaselineProgress, capturedLeaves, capturedTables, type Due, dueOf, gapsOf, movedOn, progressOf } from './baseline-progress.ts';
import { reconcileTable, replayTogether } from './reconcile-gap.ts';
import type { ReplayedRows } from './replayed-rows.ts';
import { sealBaseline } from './seal-baseline.ts';

export interface RoundOptions {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly settings: AuditSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether the snapshot may be that of the slot just made; else it must be newer than what is captured. */
  readonly atSlotStart: boolean;
  readonly sealed: () => SourceState;
  /** Resolves once everything before the LSN is sealed. */
  readonly reached: (lsn: Lsn) => Promise<void>;
}

interface Work {
  readonly table: SnapshotTable;
  readonly due: Due;
}

/** OIDs of captured tables that no snapshot lists: nothing can be read of them. Throws what reading and sealing throw, after every table was tried. */
export async function runRound(options: RoundOptions, signal: AbortSignal): Promise<ReadonlySet<number>> {
  const { database, writer, settings, sealed } = options;
  // Gaps that open from here on are not accounted for by this round.
  const wal = sealed();
  const facts = await database.facts(signal);
  const snapshot = await database.openSnapshot(writer.origin, { atSlotStart: options.atSlotStart }, signal);
  try {
    const tables = await snapshot.tables(settings, signal);
    const source = baselineSource(wal.source);
    const state = writer.sourceState(source);
    const { incarnation } = wal.position;
    const entries = new BaselineEntries(
      {
        writer,
        clock: options.clock,
        state,
        source,
        name: { system: facts.systemIdentifier, database: facts.database, timeline: facts.timeline },
        incarnation,
        lsn: snapshot.lsn,
        progress: progressOf(state),
        stillValid: () => {
          if (sealed().position.incarnation !== incarnation) throw movedOn();
        },
      },
      signal,
    );
    await workThrough(planned(tables, { wal, settings, progress: entries.progress }), { ...options, wal, snapshot, entries }, signal);
    const listed = new Set(tables.map((table) => table.shape.oid));
    return new Set(capturedLeaves(wal).flatMap(({ oid }) => (listed.has(oid) ? [] : [oid])));
  } finally {
    await snapshot.close();
  }
}

function planned(tables: readonly SnapshotTable[], { wal, settings, progress }: { wal: SourceState; settings: AuditSettings; progress: BaselineProgress }): readonly Work[] {
  const captured = new Map(capturedTables(wal).map((table) => [table.oid, table]));
  const work = tables.flatMap((table): Work[] => {
    const { oid } = table.shape;
    const wanted = table.declared.some((index) => settings.tables[index]?.baseline === true);
    const due = dueOf({ oid, wanted, captured: captured.get(oid) }, wal, progress);
    return due === undefined ? [] : [{ table, due }];
  });
  // Reconciling waits for the capture, which a first start lets wait for the baselines.
  return [...work.filter(({ due }) => due !== 'reconcile'), ...work.filter(({ due }) => due === 'reconcile')];
}

interface Working extends RoundOptions {
  readonly wal: SourceState;
  readonly snapshot: Snapshot;
  readonly entries: BaselineEntries;
  /** What the log says of the tables whose gaps are reconciled. */
  readonly replayed?: ReadonlyMap<number, ReplayedRows>;
}

/** A table that cannot be read does not keep the others from it. */
async function workThrough(work: readonly Work[], working: Working, signal: AbortSignal): Promise<void> {
  let failure: unknown;
  let replayed: ReadonlyMap<number, ReplayedRows> | undefined;
  for (const one of work) {
    try {
      if (one.due === 'reconcile') replayed ??= await replayAll(work, working, signal);
      await settleTable(one, { ...working, ...(replayed === undefined ? {} : { replayed }) }, signal);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}

async function replayAll(work: readonly Work[], { wal, snapshot, entries, writer, reached }: Working, signal: AbortSignal): Promise<ReadonlyMap<number, ReplayedRows>> {
  await reached(snapshot.lsn);
  const wanted = work.flatMap(({ table, due }) => {
    const progress = entries.progress[table.shape.oid];
    return due === 'reconcile' && progress !== undefined ? [{ table, progress, gaps: gapsOf(wal, table.shape.oid) }] : [];
  });
  return replayTogether(wanted, { writer, snapshot, entries, source: wal }, signal);
}

async function settleTable({ table, due }: Work, working: Working, signal: AbortSignal): Promise<void> {
  const { wal, snapshot, entries, logger, writer, settings } = working;
  const { oid } = table.shape;
  const { [oid]: known, ...others } = entries.progress;
  const gaps = gapsOf(wal, oid);
  let base = known?.base;
  if (due === 'reconcile' && known !== undefined) {
    const outcome = await reconcileTable({ table, progress: known, gaps }, { writer, snapshot, entries, source: wal, ...(working.replayed === undefined ? {} : { replayed: working.replayed }) }, signal);
    // Where the log does not give the rows after all, only a new baseline does.
    if (outcome !== undefined) base = undefined;
  }
  const wanted = table.declared.some((index) => settings.tables[index]?.baseline === true);
  if (due === 'baseline' || (due === 'reconcile' && base === undefined && wanted)) {
    await sealBaseline(table, { snapshot, entries }, signal);
    base = { incarnation: wal.position.incarnation, lsn: formatLsn(snapshot.lsn) };
  }
  await entries.settle(base === undefined || due === 'forget' ? others : { ...others, [oid]: { base, gaps } });
  logger.info({ table: `${table.shape.schema}.${table.shape.table}`, work: due }, 'a table was read from a snapshot');
}

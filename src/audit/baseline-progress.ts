// Which tables have a baseline, which gaps were accounted for, and what is due: pure over the states of two sources (DESIGN §5, Baseline, Slots).
import type { SourceState } from '../log/source-state.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { RowsealError } from '../model/errors.ts';
import { capturedConfiguration } from './captured-configuration.ts';
import type { CapturedTable } from './source-progress.ts';

/** Of one table, by OID. */
export interface TableProgress {
  /** Its last whole baseline: where replaying the log begins. `lsn` is PostgreSQL's text. */
  readonly base: { readonly incarnation: number; readonly lsn: string };
  /** Ids of the last gaps that were accounted for: of the source under `*`, of the table under its OID. */
  readonly gaps: Readonly<Record<string, string>>;
}

export type BaselineProgress = Readonly<Record<string, TableProgress>>;

/** Why a table's rows cannot be derived from the log. */
type Irreconcilable = 'no baseline was taken' | 'the table has no key' | 'not all operations are recorded' | 'columns are omitted or redacted';

/** What is to be done about a table; `forget`: what is sealed of it is no base for anything any more. */
export type Due = 'baseline' | 'reconcile' | 'forget';

/** The source that baselines and reconciled gaps of a WAL source are sealed under. */
export function baselineSource(walSource: string): string {
  return `baseline/${walSource.slice(walSource.indexOf('/') + 1)}`;
}

/** What the journal remembers. The journal's signature vouches for its shape. */
export function progressOf(state: SourceState | undefined): BaselineProgress {
  const stored = state?.configuration;
  return typeof stored === 'object' && stored !== null && 'baselines' in stored ? (stored.baselines as BaselineProgress) : {};
}

/** The ids that a table's progress must name for nothing to be due. */
export function gapsOf(wal: SourceState, oid: number): Readonly<Record<string, string>> {
  const { gaps = {} } = wal;
  return Object.fromEntries(['*', String(oid)].flatMap((key) => (gaps[key] === undefined ? [] : [[key, gaps[key]]])));
}

export interface TableFacts {
  readonly oid: number;
  /** A baseline is declared. */
  readonly wanted: boolean;
  /** As captured; undefined where it is not, or not yet. */
  readonly captured: CapturedTable | undefined;
}

export function dueOf({ oid, wanted, captured }: TableFacts, wal: SourceState, progress: BaselineProgress): Due | undefined {
  const known = progress[oid];
  if (known === undefined) return wanted ? 'baseline' : undefined;
  if (Object.entries(gapsOf(wal, oid)).every(([key, id]) => known.gaps[key] === id)) return undefined;
  if (captured !== undefined && irreconcilable(captured, progress) === undefined) return 'reconcile';
  return wanted ? 'baseline' : 'forget';
}

/** Undefined where the state before a gap can be replayed from the log. */
function irreconcilable({ oid, key, operations, columns }: CapturedTable, progress: BaselineProgress): Irreconcilable | undefined {
  if (progress[oid] === undefined) return 'no baseline was taken';
  if (key.length === 0) return 'the table has no key';
  if (columns !== undefined && (columns.rest !== undefined || columns.treated.some(({ mode }) => mode !== 'hash'))) return 'columns are omitted or redacted';
  return operations.length < 4 ? 'not all operations are recorded' : undefined;
}

/** Those that hold rows: a partitioned table is an ancestor of its partitions. */
export function capturedLeaves(wal: SourceState): readonly CapturedTable[] {
  const tables = capturedTables(wal);
  const ancestors = new Set(tables.flatMap((table) => table.ancestors));
  return tables.filter((table) => !ancestors.has(table.oid));
}

export function capturedTables(wal: SourceState): readonly CapturedTable[] {
  return capturedConfiguration(wal.configuration)?.tables ?? [];
}

const maxTablesSaid = 100;

/** Members of a gap entry: whether the net differences will follow as `gap.reconciled`, and for which tables not and why. */
export function gapOutlook(tables: readonly CapturedTable[], progress: BaselineProgress): Readonly<Record<string, unknown>> {
  const refused = tables.flatMap((table) => {
    const why = irreconcilable(table, progress);
    return why === undefined ? [] : [{ schema: table.schema, table: table.table, why }];
  });
  const [first] = refused;
  if (tables.length > 0 && first === undefined) return { reconcilable: true };
  if (first === undefined) return { reconcilable: false, why: 'no baseline was taken' };
  const same = refused.length === tables.length && refused.every(({ why }) => why === first.why);
  return same ? { reconcilable: false, why: first.why } : { reconcilable: false, why: 'not every table can be replayed', tables: refused.slice(0, maxTablesSaid), tablesTotal: refused.length };
}

/** The same for a gap of one table. */
export function outlookOf(writer: LogWriter, walSource: string): (table: CapturedTable | undefined) => Readonly<Record<string, unknown>> {
  return (table) => gapOutlook(table === undefined ? [] : [table], progressOf(writer.sourceState(baselineSource(walSource))));
}

/** A round of work found that the capture went on in another incarnation: what it reads belongs to the one before. */
export function movedOn(): RowsealError {
  return new RowsealError('SnapshotOutdated', 'the capture lost its place while a baseline was read', { next: 'it is read again from a newer snapshot', retryable: true });
}

// From the decoded stream to entries: pure over events and source state, so every replay gives the same (DESIGN §5, §7).
// Here is the frame, transactions and where they may be cut; rows are in row-capture.ts, our messages in message-effects.ts.
import type { HashKeys, PresentColumns } from '../model/audited-columns.ts';
import { type Lsn, zeroLsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { DecodedTable, FoundPartition, MessageKey, RelationShape, StreamEvent } from '../ports/audit-database.ts';
import type { Batch } from '../ports/log-writer.ts';
import type { CaptureParts, EventOf, Transaction } from './capture-parts.ts';
import { createStatementStack } from './context.ts';
import { createMicrosFormat, type SourceName } from './entry-text.ts';
import { timelineAt } from './lineage.ts';
import { messagePrefix, statementPrefix } from './message.ts';
import { createStatementReader } from './statement-message.ts';
import { addForgery, addFurtherForgeries, applyMessage } from './message-effects.ts';
import { PendingBatch, type ReadyEntries } from './pending-batch.ts';
import { RowCapture } from './row-capture.ts';
import { SourceProgress } from './source-progress.ts';

export interface CaptureOptions {
  readonly name: SourceName;
  /** Address of this capture in our own messages. */
  readonly captureName: string;
  readonly key: MessageKey;
  readonly state: SourceState;
  /** A transaction with more than this is sealed in parts. */
  readonly maxBatchBytes: number;
  /** See CaptureParts; when left out, no gap is said to be reconcilable. */
  readonly outlook?: CaptureParts['outlook'];
  /** Of hashed columns; may grow while it is used. Where a key is missing, values are redacted. */
  readonly hashKeys?: HashKeys;
}

export interface Capture {
  accept(event: StreamEvent): void;
  /** What may be sealed; undefined when nothing new is. */
  take(): Batch | undefined;
  /** A live view. */
  readonly ready: () => ReadyEntries;
  /** What the decoder must know of a table. */
  readonly tableOf: (oid: number) => DecodedTable | undefined;
  /** False for a relation whose place among partitions must be looked up first. */
  readonly knows: (oid: number) => boolean;
  /** The answer of that look-up; undefined: it is gone, so its rows are kept without attribution. */
  learn(oid: number, shape: RelationShape, found: FoundPartition | undefined): void;
  /** Whether the columns of a relation are to be looked up once it is described, and told by `columnsAre`. */
  readonly guards: (oid: number) => boolean;
  columnsAre(oid: number, present: PresentColumns | undefined): void;
  /** How often the catalog was changed by somebody, as far as read. */
  readonly catalogChanges: () => number;
  /** State as of what was read. */
  readonly state: () => SourceState;
}

export function createCapture(options: CaptureOptions): Capture {
  return new StreamCapture(options);
}

const noBaseline: CaptureParts['outlook'] = () => ({ reconcilable: false, why: 'no baseline was taken' });

/** Holds what has been read; `accept` is the only thing that changes it, and `take` the only one that lets go. */
class StreamCapture implements Capture {
  readonly #maxBatchBytes: number;
  readonly #parts: CaptureParts;
  readonly #rows: RowCapture;
  #transaction: Transaction | undefined;
  readonly #formatTime = createMicrosFormat();
  #lastTime = this.#formatTime(0n);

  constructor({ name, captureName, key, state, maxBatchBytes, outlook, hashKeys }: CaptureOptions) {
    this.#maxBatchBytes = maxBatchBytes;
    this.#parts = {
      name,
      captureName,
      key,
      outlook: outlook ?? noBaseline,
      pending: new PendingBatch(),
      statements: createStatementStack(),
      readStatement: createStatementReader(),
      progress: new SourceProgress(state),
      hashKeys: hashKeys ?? new Map(),
    };
    this.#rows = new RowCapture(this.#parts);
  }

  accept(event: StreamEvent): void {
    if (event.type === 'begin') this.#begin(event);
    else if (event.type === 'relation') this.#rows.describe(event.relation);
    else if (event.type === 'message') this.#message(event);
    else if (this.#transaction === undefined || this.#transaction.sealed === Infinity) {
      if (event.type === 'commit') this.#transaction = undefined;
    } else if (event.type === 'commit') this.#commit(this.#transaction, event.endLsn);
    else if (event.type === 'change') {
      this.#rows.change(event, this.#transaction);
      this.#cutWithin(this.#transaction);
    } else if (event.type === 'truncate') this.#truncate(event, this.#transaction);
  }

  take(): Batch | undefined {
    return this.#parts.pending.take();
  }

  readonly ready: Capture['ready'] = () => this.#parts.pending.ready;
  readonly tableOf: Capture['tableOf'] = (oid) => this.#rows.tableOf(oid);
  readonly guards: Capture['guards'] = (oid) => this.#parts.progress.tables.get(oid)?.columns !== undefined;
  readonly columnsAre: Capture['columnsAre'] = (oid, present) => this.#rows.columnsAre(oid, present);
  readonly knows: Capture['knows'] = (oid) => this.#parts.progress.tables.size === 0 || this.#parts.progress.tables.has(oid);
  readonly catalogChanges: Capture['catalogChanges'] = () => this.#parts.progress.catalogChanges;
  readonly state: Capture['state'] = () => this.#parts.progress.snapshot();
  readonly learn: Capture['learn'] = (oid, shape, found) => this.#rows.learn(oid, shape, found);

  #truncate(event: EventOf<'truncate'>, current: Transaction): void {
    for (const relation of event.relations) {
      this.#rows.truncate(event, relation, current);
      this.#cutWithin(current);
    }
  }

  #begin(event: EventOf<'begin'>): void {
    const { position } = this.#parts.progress;
    const past = event.commitLsn < position.lsn || (event.commitLsn === position.lsn && position.complete);
    const sealed = past ? Infinity : event.commitLsn === position.lsn ? position.seq : 0;
    this.#lastTime = this.#formatTime(event.commitTimeMicros);
    this.#transaction = this.#newTransaction(event.commitLsn, { xid: event.xid, sealed });
    this.#parts.statements.clear();
  }

  #newTransaction(commitLsn: Lsn, { xid, sealed }: { readonly xid: number; readonly sealed: number }): Transaction {
    const { lineage, position } = this.#parts.progress;
    // A standby that was promoted still sends what was committed before.
    const timeline = lineage === undefined ? undefined : timelineAt(lineage, commitLsn);
    return { incarnation: position.incarnation, timeline, commitLsn, xid, time: this.#lastTime, seq: 0, sealed, lastMessage: zeroLsn, forgeries: 0 };
  }

  #commit(current: Transaction, endLsn: Lsn): void {
    this.#transaction = undefined;
    if (current.sealed === Infinity) return;
    addFurtherForgeries(this.#parts, { lsn: endLsn, transaction: current });
    this.#cut(current, true);
  }

  /** Sealed in parts, the server sends the transaction whole again after a crash; the counted changes are left out then. */
  #cutWithin(current: Transaction): void {
    if (this.#parts.pending.uncutBytes >= this.#maxBatchBytes) this.#cut(current, false);
  }

  #cut({ commitLsn, seq }: Transaction, complete: boolean): void {
    const { progress, pending } = this.#parts;
    progress.update({ position: { incarnation: progress.position.incarnation, lsn: commitLsn, seq, complete } });
    pending.cut(progress.snapshot());
  }

  #message(event: EventOf<'message'>): void {
    if (event.prefix !== messagePrefix && event.prefix !== statementPrefix) return;
    if (!event.transactional || this.#transaction === undefined) this.#outside(event);
    else if (this.#transaction.sealed !== Infinity) applyMessage(this.#parts, event, this.#transaction);
  }

  /** We never write such a message; it has a position of its own between transactions. */
  #outside(event: EventOf<'message'>): void {
    if (event.lsn <= this.#parts.progress.position.lsn || this.#transaction !== undefined) return;
    const alone = this.#newTransaction(event.lsn, { xid: 0, sealed: 0 });
    addForgery(this.#parts, { event, reason: 'NotTransactional' }, alone);
    this.#commit(alone, event.lsn);
  }
}

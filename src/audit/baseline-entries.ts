// Entries of a snapshot on their way into the log, with a position of their own: the snapshot's LSN and a running number.
import { formatLsn, type Lsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { SnapshotTable } from '../ports/snapshot.ts';
import type { Clock } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { canonical } from './actor.ts';
import type { BaselineProgress } from './baseline-progress.ts';
import { digestOf, type EntryMembers, entryTextOf, objectMembers, relationJson, type SourceName } from './entry-text.ts';
import { PendingBatch } from './pending-batch.ts';
import { createSealingWindow, type SealingWindow } from './sealing-window.ts';

export interface BaselineEntriesOptions {
  readonly writer: LogWriter;
  readonly clock: Clock;
  /** Of the baselines' source; undefined before the first. */
  readonly state: SourceState | undefined;
  readonly source: string;
  readonly name: SourceName;
  readonly incarnation: number;
  readonly lsn: Lsn;
  readonly progress: BaselineProgress;
  /** Throws when what is being written no longer belongs into the log. */
  readonly stillValid: () => void;
}

const handOverBytes = 512 * 1024;

/**
 * Writes through `add` and `settle`. If we die in between, the rows sealed so far name a snapshot that no `last` entry completes;
 * the restart reads their table again from a newer snapshot, which supersedes them.
 */
export class BaselineEntries {
  readonly #options: BaselineEntriesOptions;
  readonly #pending = new PendingBatch();
  readonly #window: SealingWindow;
  readonly #time: string;
  #state: SourceState;
  #failure: unknown;

  constructor(options: BaselineEntriesOptions, signal: AbortSignal) {
    const { writer, clock, state, source, incarnation, lsn, progress } = options;
    this.#options = options;
    this.#time = clock.now().toISOString();
    const before = state?.position;
    const seq = before !== undefined && before.incarnation === incarnation && before.lsn === lsn ? before.seq : 0;
    this.#state = {
      source,
      position: { incarnation, lsn, seq, complete: false },
      relations: state?.relations ?? {},
      policies: {},
      configuration: { baselines: progress },
      counters: state?.counters ?? { changes: 0, attributed: 0, gaps: 0 },
    };
    this.#window = createSealingWindow({
      writer,
      sealed: this.#state,
      monotonicMs: () => clock.monotonicMs(),
      signal,
      onSealed: () => undefined,
      onFailure: (error) => (this.#failure ??= error),
    });
  }

  get progress(): BaselineProgress {
    return (this.#state.configuration as { readonly baselines: BaselineProgress }).baselines;
  }

  /** `object` members of the table's rows; its relation entry is written first where this one was not yet. */
  async describe({ shape, key, treatments }: SnapshotTable): Promise<string> {
    const json = relationJson(shape, treatments === undefined ? { key } : { key, treatments });
    const digest = digestOf(json);
    const object = objectMembers(shape.schema, shape.table, digest);
    if (this.#state.relations[shape.oid] !== digest) {
      await this.add({ type: 'relation', object, extra: { relation: json } });
      this.#state = { ...this.#state, relations: { ...this.#state.relations, [shape.oid]: digest } };
    }
    return object;
  }

  async add(members: EntryMembers): Promise<void> {
    const { position, counters } = this.#state;
    const seq = position.seq + 1;
    const { text, blobs } = entryTextOf(members, { source: this.#sourceJson(seq), time: this.#time });
    this.#pending.add(text, blobs);
    this.#state = { ...this.#state, position: { ...position, seq }, counters: { ...counters, changes: counters.changes + (members.type === 'relation' ? 0 : 1) } };
    if (this.#pending.uncutBytes >= handOverBytes) await this.#handOver();
  }

  /** Seals everything so far together with this progress. */
  async settle(progress: BaselineProgress): Promise<void> {
    this.#state = { ...this.#state, configuration: { baselines: progress } };
    await this.#handOver();
    await this.#window.drain();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #handOver(): Promise<void> {
    this.#options.stillValid();
    this.#pending.cut(this.#state);
    const batch = this.#pending.take();
    if (batch !== undefined) await this.#window.append(batch);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #sourceJson(seq: number): string {
    const { name, incarnation, lsn } = this.#options;
    return canonical({ database: name.database, incarnation, lsn: formatLsn(lsn), seq, system: name.system, timeline: name.timeline });
  }
}

// Keeps baselines whole beside a running capture: what is due is read from a snapshot and sealed, round by round (DESIGN §5, Baseline, Slots).
import type { Lsn } from '../model/branded.ts';
import { describeError, RowsealError } from '../model/errors.ts';
import type { SourceState } from '../log/source-state.ts';
import type { AuditDatabase } from '../ports/audit-database.ts';
import type { BaselineStatus } from '../ports/audit-runtime.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { baselineSource, capturedLeaves, capturedTables, dueOf, progressOf, type TableFacts } from './baseline-progress.ts';
import { runRound } from './baseline-round.ts';

export interface BaselinesOptions {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly settings: AuditSettings;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

export interface Baselines {
  /**
   * Asked before a run: until it resolves, the run leaves its first frame unread, so that what is sealed from the slot's own
   * snapshot comes before the changes after it. Undefined where nothing is due. Bounded: positions tell the order anyway.
   */
  hold(state: SourceState): Promise<void> | undefined;
  /** The run whose state counts from now on. */
  watch(sealed: () => SourceState): void;
  configure(settings: AuditSettings): void;
  readonly status: () => BaselineStatus | undefined;
  end(): Promise<void>;
}

const tickMs = 500;
const retryMs = 10_000;
const maxHoldMs = 60_000;

export function startBaselines(options: BaselinesOptions, signal: AbortSignal): Baselines {
  const keeper = new BaselineKeeper(options, signal);
  return {
    hold: (state) => keeper.hold(state),
    watch: (sealed) => keeper.watch(sealed),
    configure: (settings) => keeper.configure(settings),
    status: () => keeper.status(),
    end: () => keeper.end(),
  };
}

class BaselineKeeper {
  readonly #options: BaselinesOptions;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  /** The next round may read what the slot just made starts from: nothing was captured before it. */
  #atStart = false;
  readonly #done: Promise<void>;
  #settings: AuditSettings;
  #sealed: (() => SourceState) | undefined;
  #release: () => void = () => undefined;
  #problem: RowsealError | undefined;
  /** Configured tables that a snapshot does not list, such as a partitioned table without partitions. */
  #unlisted: { readonly configuration: unknown; readonly oids: ReadonlySet<number> } = { configuration: undefined, oids: new Set() };

  constructor(options: BaselinesOptions, signal: AbortSignal) {
    this.#options = options;
    this.#settings = options.settings;
    this.#signal = AbortSignal.any([signal, this.#ending.signal]);
    this.#done = this.#keep().catch(() => undefined);
  }

  hold(state: SourceState): Promise<void> | undefined {
    const { position } = state;
    if (position.seq > 0 || position.complete || !this.#isDue(state)) {
      void this.#options.database.dropSnapshot().catch(() => undefined);
      return undefined;
    }
    this.#release();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#release = resolve;
    this.#atStart = true;
    // Work begins at once: the run that comes reads nothing before.
    this.#sealed = () => state;
    void this.#options.clock.sleep(maxHoldMs, this.#signal).then(resolve, resolve);
    return promise;
  }

  watch(sealed: () => SourceState): void {
    this.#sealed = sealed;
  }

  configure(settings: AuditSettings): void {
    this.#settings = settings;
    this.#unlisted = { configuration: undefined, oids: new Set() };
  }

  status(): BaselineStatus | undefined {
    const state = this.#sealed?.();
    const wanted = this.#settings.tables.filter((table) => table.baseline === true);
    if (state === undefined || wanted.length === 0) return undefined;
    const own = this.#options.writer.sourceState(baselineSource(state.source));
    const tables = this.#facts(state).filter((table) => table.wanted && !this.#isUnlisted(table.oid, state));
    const complete = tables.filter((table) => dueOf(table, state, progressOf(own)) === undefined);
    return {
      tables: tables.length,
      complete: complete.length,
      rows: own?.counters.changes ?? 0,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }

  async end(): Promise<void> {
    this.#ending.abort(new RowsealError('Deadline', 'the capture stops', { retryable: true }));
    this.#release();
    await this.#done;
    await this.#options.database.dropSnapshot();
  }

  async #keep(): Promise<void> {
    const { clock, logger } = this.#options;
    for (;;) {
      let waitMs = tickMs;
      const state = this.#sealed?.();
      if (state !== undefined && this.#isDue(state)) {
        try {
          await this.#round(state);
          this.#problem = undefined;
        } catch (error) {
          this.#signal.throwIfAborted();
          this.#problem = error instanceof RowsealError ? error : new RowsealError('DatabaseStatement', describeError(error), { retryable: true, cause: error });
          // An outdated snapshot says nothing of the next one.
          if (this.#problem.code !== 'SnapshotOutdated') waitMs = retryMs;
          logger.warn({ code: this.#problem.code, error: this.#problem.message }, 'a baseline is not whole yet');
        }
      }
      if (state !== undefined) this.#release();
      await clock.sleep(waitMs, this.#signal);
    }
  }

  async #round(state: SourceState): Promise<void> {
    // Whatever run there is by then.
    const sealed = (): SourceState => this.#sealed?.() ?? state;
    const atSlotStart = this.#atStart;
    this.#atStart = false;
    const unlisted = await runRound({ atSlotStart, ...this.#options, settings: this.#settings, sealed, reached: (lsn) => this.#reached(lsn, sealed) }, this.#signal);
    this.#unlisted = { configuration: state.configuration, oids: unlisted };
  }

  /** Waits until everything before `lsn` is sealed. */
  async #reached(lsn: Lsn, sealed: () => SourceState): Promise<void> {
    const { database, writer, clock, randomness } = this.#options;
    if (sealed().position.lsn >= lsn) return;
    this.#release();
    const nonce = Buffer.from(randomness.bytes(16)).toString('hex');
    await database.emitMarker(writer.origin, nonce, this.#signal);
    const { incarnation } = sealed().position;
    while (sealed().position.lsn < lsn && sealed().position.incarnation === incarnation) await clock.sleep(50, this.#signal);
  }

  #isDue(state: SourceState): boolean {
    const progress = progressOf(this.#options.writer.sourceState(baselineSource(state.source)));
    return this.#facts(state).some((table) => !this.#isUnlisted(table.oid, state) && dueOf(table, state, progress) !== undefined);
  }

  #isUnlisted(oid: number, state: SourceState): boolean {
    return this.#unlisted.configuration === state.configuration && this.#unlisted.oids.has(oid);
  }

  #facts(state: SourceState): readonly TableFacts[] {
    const wanted = new Set(this.#settings.tables.filter((table) => table.baseline === true).map(nameOf));
    const names = new Map(capturedTables(state).map((table) => [table.oid, nameOf(table)]));
    return capturedLeaves(state).map((table) => ({
      oid: table.oid,
      captured: table,
      wanted: wanted.has(nameOf(table)) || table.ancestors.some((ancestor) => wanted.has(names.get(ancestor) ?? '')),
    }));
  }
}

function nameOf({ schema, table }: { readonly schema: string; readonly table: string }): string {
  return JSON.stringify([schema, table]);
}

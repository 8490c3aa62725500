// One life of a stream: frames in, batches out, markers behind them, until it is stopped or breaks.
import type { Lsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { MendedCoverage } from '../ports/audit-coverage.ts';
import type { AuditDatabase, ChangeStream, CoverageLook, SourceFacts } from '../ports/audit-database.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { outlookOf } from './baseline-progress.ts';
import { type Capture, createCapture } from './capture.ts';
import { startHousekeeping } from './housekeeping.ts';
import { createResumeCheck, type ResumeCheck } from './resume.ts';
import { createSealingWindow, type SealingWindow } from './sealing-window.ts';

export interface CaptureRunOptions {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly settings: AuditSettings;
  readonly facts: SourceFacts;
  readonly state: SourceState;
  readonly mended: readonly MendedCoverage[];
  readonly maxBatchBytes?: number;
  /** Until it resolves, the first frame is not read: something else is to be sealed before it. */
  readonly hold?: Promise<void> | undefined;
}

export interface CaptureRun {
  /** Why it ended; undefined after a stop. Never rejects. */
  readonly finished: Promise<unknown>;
  readonly sealed: () => SourceState;
  /** End of the WAL of which nothing is left to be sealed. */
  readonly readUpTo: () => Lsn;
  readonly lagSeconds: () => number;
  readonly coverage: () => CoverageLook | undefined;
  /** Keys of settings that are about to be written into the WAL. */
  useKeys(settings: AuditSettings): void;
  /** New settings, which are in the WAL already. */
  follow(settings: AuditSettings): void;
  stop(): Promise<void>;
}

const defaultBatchBytes = 512 * 1024;
/** From here on a batch is handed over in the middle of a chunk, too. */
const handOverBytes = 256 * 1024;

export async function startRun(options: CaptureRunOptions, signal: AbortSignal): Promise<CaptureRun> {
  const { database, writer, state, clock } = options;
  const key = await database.messageKey(signal);
  const from = state.marker?.commitLsn ?? (await database.slot(writer.origin, signal))?.confirmedFlushLsn ?? state.position.lsn;
  const stream = await database.stream(writer.origin, from, signal);
  // Whoever is told that the capture runs may rely on it: from this commit on, its tables are captured.
  await database.emitConfiguration(writer.origin, options.settings, options.mended, signal).catch(async (error: unknown) => {
    await stream.close();
    throw error;
  });
  const name = { system: options.facts.systemIdentifier, database: options.facts.database, timeline: options.facts.timeline };
  const hashKeys = new Map(options.settings.hashKeys);
  const outlook = outlookOf(writer, state.source);
  const capture = createCapture({ name, captureName: database.captureName(writer.origin), key, state, maxBatchBytes: options.maxBatchBytes ?? defaultBatchBytes, outlook, hashKeys });
  const check = state.marker === undefined ? undefined : createResumeCheck(state.marker, key);

  const outcome: { error?: unknown } = {};
  const ended = Promise.withResolvers<void>();
  const fail = (error: unknown): void => {
    outcome.error ??= error;
    ended.resolve();
    void stream.close();
  };
  const housekeeping = { activity: true };
  const window = createSealingWindow({
    writer,
    sealed: state,
    monotonicMs: () => clock.monotonicMs(),
    signal,
    onSealed: (batch) => {
      // After the commit, and not before. If we die before the server hears of it, it sends the same again, and it is known by position.
      if (batch.state.marker !== undefined) stream.confirm(batch.state.marker.commitLsn);
      if (batch.entries.count > 0) housekeeping.activity = true;
      // What could not be handed over meanwhile: nobody else may come to do it.
      if (capture.ready().entries > 0) void handOver(capture, window);
    },
    onFailure: fail,
  });
  const keeper = startHousekeeping({ ...options, stream, capture, window, wants: housekeeping, fail }, signal);
  const finished = Promise.race([options.hold, ended.promise])
    .then(() => follow({ database, stream, capture, window, check, signal }))
    .catch(fail)
    .then(async () => {
      await keeper.end();
      await handOver(capture, window);
      await window.drain();
      return outcome.error;
    });
  return {
    finished,
    sealed: window.sealed,
    readUpTo: () => upTo(stream, capture, window),
    coverage: () => keeper.coverage(),
    lagSeconds: () => Math.ceil(window.oldestMs() / 1000),
    useKeys: (settings) => settings.hashKeys?.forEach((hashKey, id) => hashKeys.set(id, hashKey)),
    follow: (settings) => keeper.follow(settings),
    stop: async () => {
      ended.resolve();
      await stream.close();
      await finished;
    },
  };
}

interface Following {
  readonly database: AuditDatabase;
  readonly stream: ChangeStream;
  readonly capture: Capture;
  readonly window: SealingWindow;
  readonly check: ResumeCheck | undefined;
  readonly signal: AbortSignal;
}

async function follow({ database, stream, capture, window, check, signal }: Following): Promise<void> {
  const decoder = database.decoder(capture.tableOf);
  let proven = check === undefined;
  let xid = 0;
  for await (const frames of stream.frames) {
    for (const frame of frames) {
      const event = decoder.decode(frame);
      if (!proven && check !== undefined) proven = check.see(event);
      if (event.type === 'begin') xid = event.xid;
      if (event.type === 'relation' && !capture.knows(event.relation.oid)) {
        const { oid } = event.relation;
        capture.learn(oid, event.relation, await database.partition({ oid, xid }, signal));
        capture.accept(event);
      } else if (event.type === 'relation' && capture.guards(event.relation.oid)) {
        const { oid } = event.relation;
        capture.accept(event);
        capture.columnsAre(oid, await database.columns({ oid, xid }, signal));
      } else capture.accept(event);
      if (capture.ready().bytes >= handOverBytes) await handOver(capture, window);
    }
    // A state without entries can wait: housekeeping hands it over within seconds.
    if (capture.ready().entries > 0 && window.roomy()) await handOver(capture, window);
  }
}

async function handOver(capture: Capture, window: SealingWindow): Promise<void> {
  const batch = capture.take();
  if (batch !== undefined) await window.append(batch);
}

function upTo(stream: ChangeStream, capture: Capture, window: SealingWindow): Lsn {
  const { position } = window.sealed();
  const idle = !window.busy() && capture.ready().entries === 0;
  return idle && stream.serverLsn() > position.lsn ? stream.serverLsn() : position.lsn;
}

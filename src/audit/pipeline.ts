// One capture from the slot to the log: recover, check, stream, seal, and only then confirm (DESIGN §5, Resuming; §6).
import { formatLsn } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import type { SourceState } from '../log/source-state.ts';
import type { AuditDatabase } from '../ports/audit-database.ts';
import type { AuditStatus, RunningAudit } from '../ports/audit-runtime.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import type { Logger } from '../ports/logger.ts';
import { type Baselines, startBaselines } from './baselines.ts';
import { type CaptureRun, startRun } from './capture-run.ts';
import { type Loss, lossOf } from './resume.ts';
import { sealLoss } from './source-gap.ts';
import { createReads } from './reads.ts';
import { lossFacts, startSource } from './source-start.ts';

export interface PipelineOptions {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly settings: AuditSettings;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  /** Size at which entries are handed to the log at once, and a transaction is sealed in parts; half a MiB when left out. */
  readonly maxBatchBytes?: number;
}

interface CaptureParts extends PipelineOptions {
  readonly baselines: Baselines;
}

const stopDeadlineMs = 30_000;

/**
 * Installs the capture and starts it. Resolves once the stream runs. Throws what installing and connecting throw; a lost slot
 * is no error but a sealed gap. `signal` ends it at once; `stop` seals first.
 */
export async function startPipeline(options: PipelineOptions, signal: AbortSignal): Promise<RunningAudit> {
  const ended = new AbortController();
  const whole = AbortSignal.any([signal, ended.signal]);
  let settings = options.settings;
  const baselines = startBaselines(options, whole);
  let run = await open({ ...options, baselines }, settings, whole).catch(async (error: unknown) => {
    await baselines.end();
    throw error;
  });
  baselines.watch(run.sealed);
  const reads = createReads(options, whole);
  await reads.configure(settings, whole);
  let stopped = false;

  const loop = async (): Promise<never> => {
    for (;;) {
      const error = await run.finished;
      // Whoever stopped it asks for no reason: such a promise stays open.
      if (stopped || whole.aborted || error === undefined) return new Promise<never>(() => undefined);
      if (!isLoss(error)) throw error;
      run = await openAfterLoss({ ...options, baselines }, { settings, sealed: run.sealed(), error }, whole);
      baselines.watch(run.sealed);
    }
  };
  const failed = loop();
  failed.catch(() => baselines.end());

  return {
    failed,
    status: async (statusSignal) => {
      const said = { baseline: baselines.status(), reads: reads.status() };
      return { ...(await statusOf(options, run, statusSignal)), ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)) };
    },
    configure: async (next, configureSignal) => {
      if (JSON.stringify(next) === JSON.stringify(settings)) return;
      run.useKeys(next);
      const mended = await options.database.install(options.writer.origin, next, configureSignal);
      await options.database.emitConfiguration(options.writer.origin, next, mended, configureSignal);
      settings = next;
      run.follow(next);
      baselines.configure(next);
      await reads.configure(next, configureSignal);
    },
    stop: async () => {
      stopped = true;
      const deadline = setTimeoutOn(options.clock, stopDeadlineMs, ended);
      await baselines.end();
      await reads.end();
      await run.stop();
      ended.abort();
      await deadline;
    },
  };
}

/** Ends everything when the clean stop takes too long; what is not sealed then is sent again after a restart. */
async function setTimeoutOn(clock: Clock, ms: number, ended: AbortController): Promise<void> {
  await clock.sleep(ms, ended.signal).catch(() => undefined);
  ended.abort(new RowsealError('Deadline', 'the capture did not stop in time', { retryable: true }));
}

async function open(options: CaptureParts, settings: AuditSettings, signal: AbortSignal): Promise<CaptureRun> {
  const { database, writer } = options;
  const mended = await database.install(writer.origin, settings, signal);
  const { state, newSlot } = await startSource(options, settings, signal);
  try {
    return await startRun({ ...options, settings, facts: await database.facts(signal), state, mended: newSlot ? [] : mended, hold: options.baselines.hold(state) }, signal);
  } catch (error) {
    if (!isLoss(error)) throw error;
    return openAfterLoss(options, { settings, sealed: state, error }, signal);
  }
}

interface AfterLoss {
  readonly settings: AuditSettings;
  readonly sealed: SourceState;
  readonly error: RowsealError;
}

async function openAfterLoss(options: CaptureParts, { settings, sealed, error }: AfterLoss, signal: AbortSignal): Promise<CaptureRun> {
  const { database, writer, logger } = options;
  const mended = await database.install(writer.origin, settings, signal);
  const facts = await lossFacts(options, signal);
  const loss = lossOf(sealed, facts) ?? lossBy(error);
  logger.warn({ reason: loss.reason, slot: database.captureName(writer.origin) }, 'changes were lost before they were read; sealing a gap');
  const { state, newSlot } = await sealLoss(options, { sealed, loss, facts }, signal);
  return startRun({ ...options, settings, facts: facts.server, state, mended: newSlot ? [] : mended, hold: options.baselines.hold(state) }, signal);
}

function isLoss(error: unknown): error is RowsealError {
  return error instanceof RowsealError && (error.code === 'SlotLost' || error.code === 'SourceRewound');
}

/** Where neither slot nor timelines say it: the stream itself did. */
function lossBy(error: RowsealError): Loss {
  return error.code === 'SourceRewound' ? { kind: 'rewound', reason: 'MarkerNotFound', keepSlot: false } : { kind: 'gap', reason: 'StreamRefused' };
}

async function statusOf({ database, writer }: PipelineOptions, run: CaptureRun, signal: AbortSignal): Promise<AuditStatus> {
  const { flushLsn } = await database.facts(signal);
  const { position, counters } = run.sealed();
  const lag = flushLsn - run.readUpTo();
  const coverage = run.coverage();
  const retention = await database.retention(writer.origin, signal);
  return {
    slot: database.captureName(writer.origin),
    lagBytes: lag > 0n ? Number(lag) : 0,
    lagSeconds: run.lagSeconds(),
    lastPosition: `${position.incarnation}:${formatLsn(position.lsn)}:${position.seq}`,
    // Rounded down, so that 100 means all.
    ...(counters.changes === 0 ? {} : { attributedPercent: Math.floor((counters.attributed / counters.changes) * 100) }),
    gaps: counters.gaps,
    unattributed: counters.changes - counters.attributed,
    ...(coverage === undefined ? {} : { coverage: { tables: coverage.tables, eventTriggers: coverage.eventTriggers } }),
    ...(retention === undefined ? {} : { retention }),
  };
}

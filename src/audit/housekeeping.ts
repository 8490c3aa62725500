// What a capture does beside reading: markers after seals, idle WAL confirmed, catalog changes noticed (DESIGN §5, Resuming, Coverage).
import { describeError, RowsealError } from '../model/errors.ts';
import type { AuditDatabase, ChangeStream } from '../ports/audit-database.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { canonical } from './actor.ts';
import type { Capture } from './capture.ts';
import { withoutDigests } from './captured-configuration.ts';
import type { SealingWindow } from './sealing-window.ts';

export interface HousekeepingOptions {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly settings: AuditSettings;
  readonly stream: ChangeStream;
  readonly capture: Capture;
  readonly window: SealingWindow;
  /** Set when entries were sealed: a marker is due after them. */
  readonly wants: { activity: boolean };
  readonly fail: (error: unknown) => void;
}

export interface Housekeeping {
  follow(settings: AuditSettings): void;
  end(): Promise<void>;
}

const tickMs = 100;
const markerEveryMs = 1_000;
/** A journal object without entries is written at most this often. */
const stateEveryMs = 5_000;
const observeEveryMs = 10_000;
const idleWalBytes = 16n * 1024n * 1024n;
const nonceBytes = 16;

export function startHousekeeping(options: HousekeepingOptions, signal: AbortSignal): Housekeeping {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const current = { settings: options.settings };
  const done = keepHouse(options, current, both).catch((error: unknown) => {
    if (!both.aborted) options.fail(error);
  });
  return {
    follow: (settings) => void (current.settings = settings),
    end: async () => {
      ending.abort();
      await done;
    },
  };
}

async function keepHouse(options: HousekeepingOptions, current: { settings: AuditSettings }, signal: AbortSignal): Promise<void> {
  const { database, writer, clock, capture, window } = options;
  let markerAtMs = -Infinity;
  let stateAtMs = clock.monotonicMs();
  let observedAtMs = clock.monotonicMs();
  for (;;) {
    const nowMs = clock.monotonicMs();
    if (nowMs - markerAtMs >= markerEveryMs && markerIsDue(options)) {
      options.wants.activity = false;
      markerAtMs = nowMs;
      await database.emitMarker(writer.origin, Buffer.from(options.randomness.bytes(nonceBytes)).toString('hex'), signal);
    }
    if (!capture.ready().stateChanged) stateAtMs = nowMs;
    else if (nowMs - stateAtMs >= stateEveryMs) {
      const batch = capture.take();
      if (batch !== undefined) await window.append(batch);
    }
    if (nowMs - observedAtMs >= observeEveryMs) {
      observedAtMs = nowMs;
      await observe(options, current.settings, signal);
    }
    await clock.sleep(tickMs, signal);
  }
}

/** After activity, and when WAL without rows of ours keeps the slot from moving on. */
function markerIsDue({ wants, stream, capture }: HousekeepingOptions): boolean {
  if (wants.activity) return true;
  const { marker, position } = capture.state();
  return stream.serverLsn() - (marker?.commitLsn ?? position.lsn) > idleWalBytes;
}

/** New partitions, mended coverage, and policy changes that no event trigger announced. */
async function observe({ database, writer, capture }: HousekeepingOptions, settings: AuditSettings, signal: AbortSignal): Promise<void> {
  try {
    const observed = await database.observe(writer.origin, settings, signal);
    const { configuration, policies } = capture.state();
    const same =
      observed !== undefined &&
      canonical(withoutDigests(observed)) === canonical(configuration ?? {}) &&
      observed.tables.every((table) => table.policyDigest === null || table.policyDigest === policies[table.oid]);
    if (same) return;
    const mended = observed === undefined ? await database.install(writer.origin, settings, signal) : [];
    await database.emitConfiguration(writer.origin, settings, mended, signal);
  } catch (error) {
    // A lock that is not to be had, or a table dropped meanwhile: capturing goes on, and the next round tries again.
    if (error instanceof RowsealError && (error.code === 'WaitingForLock' || error.code === 'DatabaseObjectMissing')) return;
    throw error instanceof RowsealError ? error : new RowsealError('DatabaseStatement', describeError(error), { retryable: true, cause: error });
  }
}

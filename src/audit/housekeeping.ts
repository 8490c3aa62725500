// What a capture does beside reading: markers after seals, idle WAL confirmed, catalog changes noticed (DESIGN §5, Resuming, Coverage).
import type { AuditDatabase, ChangeStream, CoverageLook } from '../ports/audit-database.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import type { Capture } from './capture.ts';
import type { SealingWindow } from './sealing-window.ts';
import { type CoverageWatch, createCoverageWatch } from './watch-coverage.ts';

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
  /** What the last look at the catalog found. */
  readonly coverage: () => CoverageLook | undefined;
  end(): Promise<void>;
}

const tickMs = 100;
const markerEveryMs = 1_000;
/** A journal object without entries is written at most this often. */
const stateEveryMs = 5_000;
const lookEveryMs = 2_000;
const idleWalBytes = 16n * 1024n * 1024n;
const nonceBytes = 16;

export function startHousekeeping(options: HousekeepingOptions, signal: AbortSignal): Housekeeping {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const current = { settings: options.settings };
  const watch = createCoverageWatch(options);
  const done = keepHouse(options, { current, watch }, both).catch((error: unknown) => {
    if (!both.aborted) options.fail(error);
  });
  return {
    follow: (settings) => void (current.settings = settings),
    coverage: watch.found,
    end: async () => {
      ending.abort();
      await done;
    },
  };
}

interface Looking {
  readonly current: { settings: AuditSettings };
  readonly watch: CoverageWatch;
}

async function keepHouse(options: HousekeepingOptions, { current, watch }: Looking, signal: AbortSignal): Promise<void> {
  const { database, writer, clock, capture, window } = options;
  let markerAtMs = -Infinity;
  let stateAtMs = clock.monotonicMs();
  let lookedAtMs = -Infinity;
  let changesSeen = 0;
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
    if (nowMs - lookedAtMs >= lookEveryMs || capture.catalogChanges() !== changesSeen) {
      lookedAtMs = nowMs;
      changesSeen = capture.catalogChanges();
      await watch.look(current.settings, signal);
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

// Follows a server's log files through their rotation into the log: a second source beside the WAL, with a position of its own.
import { formatLsn, lsn } from '../model/branded.ts';
import { type RowsealError, toRowsealError } from '../model/errors.ts';
import type { SourceState } from '../log/source-state.ts';
import type { Clock } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import type { ReadSettings, ServerLog, ServerLogEvent, ServerLogFile } from '../ports/server-log.ts';
import { canonical } from './actor.ts';
import { entryTextOf } from './entry-text.ts';
import { eventMembers } from './log-source-entries.ts';
import { PendingBatch } from './pending-batch.ts';

export interface LogSourceOptions {
  readonly log: ServerLog;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly settings: ReadSettings;
  readonly system: string;
  readonly database: string;
}

export interface LogSource {
  /** Why it cannot read at the moment; undefined when all is well. */
  readonly problem: () => RowsealError | undefined;
  /** Seals what was read, and ends. */
  end(): Promise<void>;
}

/** What the journal remembers of the file that is read: where we are is the position. */
interface Reading {
  readonly file: string;
  /** Of so many first bytes; zero until the file has some. */
  readonly fingerprint: string;
  readonly fingerprintBytes: number;
  readonly modifiedMs: number;
}

const pollMs = 1_000;
const maxFingerprintBytes = 1_024;

export function startLogSource(options: LogSourceOptions, signal: AbortSignal): LogSource {
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const follower = new LogFollower(options);
  let problem: RowsealError | undefined;
  const done = (async () => {
    while (!both.aborted) {
      try {
        while (await follower.step(both));
        problem = undefined;
      } catch (error) {
        if (both.aborted) return;
        problem = toRowsealError(error, 'ServerLogUnreachable', { retryable: true });
      }
      await options.clock.sleep(pollMs, both).catch(() => undefined);
    }
  })();
  return {
    problem: () => problem,
    end: async () => {
      ending.abort();
      await done;
    },
  };
}

function logSourceName(system: string, database: string): string {
  return `postgresql-log/${system}/${database}`;
}

/**
 * Position: the file's ordinal as incarnation, the byte offset behind the last record as LSN. Entries and position are committed
 * together, so if we die anywhere, the restart reads on behind what is sealed.
 */
class LogFollower {
  readonly #options: LogSourceOptions;

  constructor(options: LogSourceOptions) {
    this.#options = options;
  }

  /** One look and at most one batch; true when there may be more at once. */
  async step(signal: AbortSignal): Promise<boolean> {
    const { log, writer, system, database } = this.#options;
    const state = writer.sourceState(logSourceName(system, database));
    const files = await log.files();
    const reading = readingOf(state);
    if (state === undefined || reading === undefined) return this.#begin(state, files, signal);
    const current = files.find(({ name }) => name === reading.file);
    if (current === undefined) return this.#moveOn(state, { reading, files, lost: 'FileMissing' }, signal);
    const offset = Number(state.position.lsn);
    if (current.size < offset) return this.#moveOn(state, { reading, files, lost: 'FileTruncated' }, signal);
    if (reading.fingerprintBytes > 0 && (await log.fingerprint(current.name, reading.fingerprintBytes)) !== reading.fingerprint) return this.#moveOn(state, { reading, files, lost: 'FileReplaced' }, signal);
    const part = await log.read(current.name, offset, signal);
    if (part.end > offset) {
      await this.#seal({ ...state, position: at(state.position.incarnation, part.end), configuration: { reading: await this.#identified(current, part.end) } }, part, signal);
      return true;
    }
    // A newer file exists, and nothing came into this one since before it was listed: the server has gone on to the next.
    return files.some((file) => file.modifiedMs > current.modifiedMs) ? this.#moveOn(state, { reading: { ...reading, modifiedMs: current.modifiedMs }, files, lost: current.size > offset ? 'Unfinished' : undefined }, signal) : false;
  }

  /** What was logged before reads were asked for is not recorded. */
  async #begin(state: SourceState | undefined, files: readonly ServerLogFile[], signal: AbortSignal): Promise<boolean> {
    const newest = files.at(-1);
    if (newest === undefined) return false;
    const { system, database, settings } = this.#options;
    const incarnation = (state?.position.incarnation ?? 0) + 1;
    const opened: SourceState = {
      source: logSourceName(system, database),
      position: at(incarnation, newest.size),
      relations: {},
      policies: {},
      configuration: { reading: await this.#identified(newest, newest.size) },
      counters: state?.counters ?? { changes: 0, attributed: 0, gaps: 0 },
    };
    const reads = canonical({ file: newest.name, format: settings.format, statements: settings.statements });
    await this.#seal(opened, { events: [], unreadable: 0, more: [{ type: 'audit.start', extra: { reads } }] }, signal);
    return true;
  }

  /** The next file by the time of its last change; a gap where the rest of this one cannot be read any more. */
  async #moveOn(state: SourceState, { reading, files, lost }: { reading: Reading; files: readonly ServerLogFile[]; lost: string | undefined }, signal: AbortSignal): Promise<boolean> {
    const reused = lost === 'FileTruncated' || lost === 'FileReplaced';
    const next = files.find((file) => (reused && file.name === reading.file) || (file.name !== reading.file && file.modifiedMs > reading.modifiedMs));
    if (next === undefined) return false;
    const incarnation = state.position.incarnation + 1;
    const gaps = state.counters.gaps + (lost === undefined ? 0 : 1);
    const gap = {
      from: { file: reading.file, offset: Number(state.position.lsn) },
      id: `${state.source}#${incarnation}`,
      reason: lost,
      reconcilable: false,
      scope: 'server log',
      to: { file: next.name, offset: 0 },
      why: 'the server keeps no other copy of its log',
    };
    const opened = { ...state, position: at(incarnation, 0), configuration: { reading: await this.#identified(next, 0) }, counters: { ...state.counters, gaps } };
    await this.#seal(opened, { events: [], unreadable: 0, more: lost === undefined ? [] : [{ type: 'gap', extra: { gap: canonical(gap) } }] }, signal);
    return true;
  }

  async #identified(file: ServerLogFile, upTo: number): Promise<Reading> {
    const fingerprintBytes = Math.min(upTo, maxFingerprintBytes);
    const fingerprint = fingerprintBytes === 0 ? '' : ((await this.#options.log.fingerprint(file.name, fingerprintBytes)) ?? '');
    return { file: file.name, fingerprint, fingerprintBytes: fingerprint === '' ? 0 : fingerprintBytes, modifiedMs: file.modifiedMs };
  }

  async #seal(state: SourceState, { events, unreadable, more = [] }: Part, signal: AbortSignal): Promise<void> {
    const { writer, settings, clock } = this.#options;
    const now = clock.now().toISOString();
    const pending = new PendingBatch();
    for (const members of more) this.#add(pending, { members, state, start: Number(state.position.lsn), time: now });
    for (const event of events) this.#add(pending, { members: eventMembers(event, settings), state, start: event.start, time: event.time ?? now });
    if (unreadable > 0) {
      const gap = canonical({ bytes: unreadable, reason: 'Unreadable', reconcilable: false, scope: 'server log', why: 'these bytes are no records of the declared format' });
      this.#add(pending, { members: { type: 'gap', extra: { gap } }, state, start: Number(state.position.lsn), time: now });
    }
    const { changes, attributed, gaps } = state.counters;
    pending.cut({ ...state, counters: { changes: changes + events.length, attributed: attributed + events.length, gaps: gaps + (unreadable > 0 ? 1 : 0) } });
    const batch = pending.take();
    if (batch !== undefined) await writer.append(batch, signal);
  }

  #add(pending: PendingBatch, { members, state, start, time }: { members: Parameters<typeof entryTextOf>[0]; state: SourceState; start: number; time: string }): void {
    const { system, database } = this.#options;
    const { file } = (state.configuration as { readonly reading: Reading }).reading;
    const source = canonical({ database, file, incarnation: state.position.incarnation, lsn: formatLsn(lsn(BigInt(start))), system });
    const { text, blobs } = entryTextOf(members, { source, time });
    pending.add(text, blobs);
  }
}

interface Part {
  readonly events: readonly ServerLogEvent[];
  readonly unreadable: number;
  readonly more?: readonly Parameters<typeof entryTextOf>[0][];
}

function at(incarnation: number, offset: number): SourceState['position'] {
  return { incarnation, lsn: lsn(BigInt(offset)), seq: 0, complete: true };
}

/** The journal's signature vouches for its shape. */
function readingOf(state: SourceState | undefined): Reading | undefined {
  const stored = state?.configuration;
  return typeof stored === 'object' && stored !== null && 'reading' in stored ? (stored.reading as Reading) : undefined;
}

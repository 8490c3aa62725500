// Opens a log for writing: probes the store, recovers, completes what was being published, and starts the writer.
import type { SigningKey } from '../log/keys.ts';
import { partialObjects, type TreeFront, growFront } from '../log/tree-front.ts';
import { RowsealError } from '../model/errors.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { LogStore } from '../ports/log-store.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import type { Logger } from '../ports/logger.ts';
import { LogFiles } from './log-files.ts';
import { publish, type Published, storeCheckpoint } from './publish.ts';
import { type Recovered, recoverLog } from './recover.ts';
import { withRetries } from './retry.ts';
import type { SealContext } from './seal.ts';
import { SealingWriter } from './sealing-writer.ts';

export interface LogWriterOptions {
  /** The writer owns it from now on, and closes it: at its end, after a failure, and when it cannot open. */
  readonly store: LogStore;
  /** Its name is the origin. */
  readonly signingKey: SigningKey;
  readonly origin: string;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  readonly retention: { readonly days: number; readonly uncoveredDays: number };
  readonly sealing: { readonly maxDelayMs: number; readonly maxBytes: number };
  readonly publishing: { readonly maxDelayMs: number };
  /** How long transient storage errors are tried again; a minute when left out. */
  readonly retryDeadlineMs?: number;
  /** Ends the writer as a crash would; `close` ends it properly. */
  readonly signal: AbortSignal;
}

const dayMs = 24 * 60 * 60_000;

/** Throws BadKey, LogInconsistent, WriterFenced, or what the store says (StorageNotWriteOnce, StorageRefused, …). */
export async function openLogWriter(options: LogWriterOptions): Promise<LogWriter> {
  const { store, signingKey, origin, clock, randomness, logger, retention } = options;
  const abort = new AbortController();
  const forward = (): void => abort.abort(options.signal.reason);
  if (options.signal.aborted) forward();
  options.signal.addEventListener('abort', forward, { once: true });
  const release = async (): Promise<void> => {
    options.signal.removeEventListener('abort', forward);
    await store.close();
  };
  const retries = { clock, randomness, logger, signal: abort.signal, deadlineMs: options.retryDeadlineMs ?? 60_000 };
  const context: SealContext = { files: new LogFiles({ ...retries, store, retention }), key: signingKey, origin, clock };
  try {
    if (signingKey.name !== origin) {
      throw new RowsealError('BadKey', `the signing key is of ${signingKey.name}`, { object: origin, next: 'use a key whose name is the origin of the log' });
    }
    await withRetries(retries, store.location, (signal) => store.probe(signal));
    const recovered = await finishPublication(await recoverLog(context), context);
    warnOfAbsence(recovered, options);
    return new SealingWriter(recovered, { ...options, context, abort, release, renewEveryMs: Math.min(dayMs, (retention.uncoveredDays * dayMs) / 2) });
  } catch (error) {
    await release().catch(() => undefined);
    throw error;
  }
}

/**
 * Two publications can have been under way: of the last digest record, whose checkpoint may be missing, and of the next one,
 * some of whose partial tiles may be stored. Both are completed as they were, so that every stored partial has its checkpoint.
 */
async function finishPublication(recovered: Recovered, context: SealContext): Promise<Recovered> {
  let { published, front, unpublished } = recovered;
  if (published.number > 0) published = await storeCheckpoint({ ...published, checkpoint: published.checkpoint }, context);
  const begun = await begunPublication(front, unpublished, context);
  if (begun > 0) {
    ({ published, front } = await publishFirst(begun, { ...recovered, published }, context));
    unpublished = unpublished.slice(begun);
  }
  return { ...recovered, published, front, unpublished };
}

async function publishFirst(count: number, recovered: Recovered, context: SealContext): Promise<{ published: Published; front: TreeFront }> {
  const covered = recovered.unpublished.slice(0, count);
  const { front, objects } = growFront(recovered.front, covered.flatMap(({ runs }) => runs));
  const sealed = covered.at(-1)?.sealed ?? recovered.sealed;
  const target = { lastJournal: sealed.number, size: sealed.edge.size, root: sealed.edge.root(), state: sealed.state };
  return { published: await publish(target, objects, { before: recovered.published, context }), front };
}

/** How many unpublished journal objects the publication covered that has left partial tiles of its own; 0 when none has. */
async function begunPublication(start: TreeFront, unpublished: Recovered['unpublished'], context: SealContext): Promise<number> {
  let front = start;
  let begun = 0;
  let known = new Set(partialObjects(start).map(({ key }) => key));
  for (const [at, { runs }] of unpublished.entries()) {
    front = growFront(front, runs).front;
    const keys = partialObjects(front).map(({ key }) => key);
    for (const key of keys) {
      if (!known.has(key) && (await context.files.read(key)) !== undefined) begun = at + 1;
    }
    known = new Set([...known, ...keys]);
  }
  return begun;
}

/** Locks of uncovered objects are renewed by a running writer only. */
function warnOfAbsence({ sealed }: Recovered, { clock, logger, origin, retention }: LogWriterOptions): void {
  if (sealed.time === undefined) return;
  const awayDays = (clock.now().getTime() - Date.parse(sealed.time)) / dayMs;
  if (awayDays > retention.uncoveredDays) {
    logger.warn({ origin, awayDays: Math.floor(awayDays), uncoveredDays: retention.uncoveredDays }, 'nothing renewed the locks of uncovered objects for longer than they last');
  }
}

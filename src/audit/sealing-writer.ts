// The running writer: one loop seals, one publishes, one renews locks; what they share is here.
import { encodeBase64 } from '../log/base64.ts';
import { emptyRoot } from '../log/merkle.ts';
import { type EntryRun, growFront, type TreeFront } from '../log/tree-front.ts';
import type { SourceState } from '../log/source-state.ts';
import { describeError, RowsealError, toRowsealError } from '../model/errors.ts';
import type { Logger } from '../ports/logger.ts';
import type { Batch, LogWriter, LogWriterStatus, SealedEntry } from '../ports/log-writer.ts';
import { publish, type Published } from './publish.ts';
import type { Recovered, Unpublished } from './recover.ts';
import { renewUncovered } from './renew.ts';
import { blobKey, type SealContext, type Sealed, sealBatches } from './seal.ts';
import { sealedEntries } from './sealed-entries.ts';
import { SealingQueue, type WaitingBatch } from './sealing-queue.ts';
import { Wakeup } from './wakeup.ts';

export interface SealingWriterOptions {
  readonly context: SealContext;
  readonly logger: Logger;
  readonly sealing: { readonly maxDelayMs: number; readonly maxBytes: number };
  readonly publishing: { readonly maxDelayMs: number };
  readonly renewEveryMs: number;
  /** Ends every wait and every storage call of the writer. */
  readonly abort: AbortController;
  /** Called once, when nothing is written any more. */
  readonly release: () => Promise<void>;
}

type Pending = Unpublished & { readonly sinceMs: number };

/** A publication is due at once when so many entries were completed: sixteen full bundles. */
const publishEveryEntries = 256 * 16;
/** Worth an object of its own; while one is being written, more comes together, up to `maxBytes`. */
const enoughBytes = 4 * 1024 * 1024;
/** Sealed and not published; at least what one object holds, so that sealing and publishing go on beside each other. */
const leastTailBytes = 8 * 1024 * 1024;
const renewRetryMs = 60 * 60_000;

export class SealingWriter implements LogWriter {
  readonly origin: string;
  readonly failed: Promise<never>;
  readonly #options: SealingWriterOptions;
  readonly #queue = new SealingQueue();
  readonly #changed: Wakeup;
  readonly #rejectFailed: (error: unknown) => void;
  readonly #ended: Promise<void>;
  readonly #maxTailBytes: number;
  readonly #sealAtBytes: number;
  #sealed: Sealed;
  #published: Published;
  #front: TreeFront;
  #pending: Pending[];
  #tailBytes = 0;
  #closing = false;
  #sealingEnded = false;
  #failure: RowsealError | undefined;

  constructor(recovered: Recovered, options: SealingWriterOptions) {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.failed = promise;
    this.#rejectFailed = reject;
    this.#options = options;
    this.origin = options.context.origin;
    this.#changed = new Wakeup(options.context.clock);
    this.#maxTailBytes = Math.max(leastTailBytes, options.sealing.maxBytes);
    this.#sealAtBytes = Math.min(options.sealing.maxBytes, enoughBytes);
    this.#sealed = recovered.sealed;
    this.#published = recovered.published;
    this.#front = recovered.front;
    this.#pending = recovered.unpublished.map((one) => ({ ...one, sinceMs: Number.NEGATIVE_INFINITY }));
    for (const { runs } of this.#pending) this.#tailBytes += bytesOf(runs);
    this.#ended = this.#run();
  }

  sourceState(source: string): SourceState | undefined {
    return this.#sealed.state.get(source);
  }

  sources(): readonly SourceState[] {
    return [...this.#sealed.state.values()];
  }

  status(): LogWriterStatus {
    const root = this.#published.number === 0 ? emptyRoot() : this.#published.root;
    return {
      treeSize: this.#published.size,
      sealedSize: this.#sealed.edge.size,
      rootHash: encodeBase64(root),
      ...(this.#sealed.time === undefined ? {} : { sealedAt: this.#sealed.time }),
      ...(this.#published.time === undefined ? {} : { publishedAt: this.#published.time }),
    };
  }

  sealed(fromLeaf: number, signal: AbortSignal): AsyncIterable<SealedEntry> {
    return sealedEntries({ front: this.#front, runs: this.#pending.flatMap(({ runs }) => runs), fromLeaf }, this.#options.context.files, signal);
  }

  blob(digest: string): Promise<Uint8Array | undefined> {
    return this.#options.context.files.read(blobKey(digest));
  }

  async append(batch: Batch, signal: AbortSignal): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing) throw new RowsealError('BadUsage', 'the log is closed', { object: this.origin });
    assertForward(batch.state, this.#queue.lastOf(batch.state.source)?.state ?? this.sourceState(batch.state.source));
    const committed = this.#queue.push(batch, this.#options.context.clock.monotonicMs(), signal);
    this.#changed.wake();
    await committed;
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#closing = true;
    this.#changed.wake();
    const onAbort = (): void => this.#options.abort.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await this.#ended;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #run(): Promise<void> {
    const stopRenewing = new AbortController();
    const renewing = this.#renewLoop(AbortSignal.any([this.#options.abort.signal, stopRenewing.signal]));
    await Promise.all([this.#guard(this.#sealLoop()), this.#guard(this.#publishLoop())]);
    stopRenewing.abort();
    await renewing;
    await this.#options.release().catch((error: unknown) => this.#options.logger.warn({ error: describeError(error) }, 'the storage did not close cleanly'));
    // Told only now: who opens the log again must not meet writes of this writer that are still under way.
    if (this.#failure !== undefined) this.#rejectFailed(this.#failure);
  }

  /** The first error ends the writer: waiting batches are rejected, and the other loop stops after what it is at. */
  async #guard(loop: Promise<void>): Promise<void> {
    try {
      await loop;
    } catch (error) {
      const failure = toRowsealError(error, 'StorageUnreachable', { object: this.origin, retryable: true });
      this.#failure ??= failure;
      this.#queue.rejectAll(this.#failure);
      this.#changed.wake();
    }
  }

  async #sealLoop(): Promise<void> {
    while (this.#failure === undefined) {
      const delayMs = this.#sealDelayMs();
      if (delayMs === 'never') break;
      if (delayMs === undefined || delayMs > 0) await this.#changed.wait(delayMs, this.#options.abort.signal);
      else await this.#seal(this.#queue.take(this.#options.sealing.maxBytes));
    }
    this.#sealingEnded = true;
    this.#changed.wake();
  }

  /** Undefined: until something changes. A full tail holds sealing back, so that memory stays bounded when publishing is slow. */
  #sealDelayMs(): number | 'never' | undefined {
    const { context, sealing } = this.#options;
    if (this.#queue.empty) return this.#closing ? 'never' : undefined;
    if (this.#tailBytes > this.#maxTailBytes) return undefined;
    if (this.#closing || this.#queue.bytes >= this.#sealAtBytes) return 0;
    return this.#queue.oldestMs + sealing.maxDelayMs - context.clock.monotonicMs();
  }

  async #seal(group: readonly WaitingBatch[]): Promise<void> {
    const { context, logger } = this.#options;
    try {
      const { sealed, runs } = await sealBatches(group.map(({ batch }) => batch), this.#sealed, context);
      this.#sealed = sealed;
      this.#pending.push({ sealed, runs, sinceMs: context.clock.monotonicMs() });
      this.#tailBytes += bytesOf(runs);
    } catch (error) {
      const failure = toRowsealError(error, 'StorageUnreachable', { object: this.origin, retryable: true });
      for (const waiting of group) waiting.reject(failure);
      throw failure;
    }
    for (const waiting of group) waiting.resolve();
    this.#changed.wake();
    logger.debug({ journal: this.#sealed.number, size: this.#sealed.edge.size }, 'sealed');
  }

  async #publishLoop(): Promise<void> {
    while (this.#failure === undefined) {
      const delayMs = this.#publishDelayMs();
      if (delayMs === 'never') return;
      if (delayMs === undefined || delayMs > 0) await this.#changed.wait(delayMs, this.#options.abort.signal);
      else await this.#publishPending();
    }
  }

  #publishDelayMs(): number | 'never' | undefined {
    const [first] = this.#pending;
    if (first === undefined) return this.#sealingEnded ? 'never' : undefined;
    if (this.#sealingEnded || this.#tailBytes > this.#maxTailBytes) return 0;
    const completed = Math.floor(this.#sealed.edge.size / publishEveryEntries) > Math.floor(this.#published.size / publishEveryEntries);
    return completed ? 0 : first.sinceMs + this.#options.publishing.maxDelayMs - this.#options.context.clock.monotonicMs();
  }

  async #publishPending(): Promise<void> {
    const { context, logger } = this.#options;
    const covered = [...this.#pending];
    const last = covered.at(-1);
    if (last === undefined) return;
    const { front, objects } = growFront(this.#front, covered.flatMap(({ runs }) => runs));
    const target = { lastJournal: last.sealed.number, size: last.sealed.edge.size, root: last.sealed.edge.root(), state: last.sealed.state };
    this.#published = await publish(target, objects, { before: this.#published, context });
    this.#front = front;
    this.#pending = this.#pending.slice(covered.length);
    for (const { runs } of covered) this.#tailBytes -= bytesOf(runs);
    this.#changed.wake();
    logger.debug({ size: this.#published.size, digest: this.#published.number }, 'published');
  }

  /** A lock that cannot be renewed now is no reason to stop sealing: it is said, and tried again. */
  async #renewLoop(signal: AbortSignal): Promise<void> {
    const { context, logger, renewEveryMs } = this.#options;
    while (!signal.aborted) {
      let waitMs = renewEveryMs;
      try {
        const range = { publishedSize: this.#published.size, lastJournal: this.#sealed.number };
        if (range.lastJournal > 0) logger.debug({ objects: await renewUncovered(range, context, signal) }, 'locks renewed');
      } catch (error) {
        if (signal.aborted) return;
        waitMs = Math.min(renewEveryMs, renewRetryMs);
        logger.warn({ error: describeError(error) }, 'locks of uncovered objects could not be renewed');
      }
      await context.clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }
}

function bytesOf(runs: readonly EntryRun[]): number {
  return runs.reduce((sum, { encoded }) => sum + encoded.length, 0);
}

/** The state after a batch may not be before the state that is sealed, or about to be. */
function assertForward({ source, position }: SourceState, before: SourceState | undefined): void {
  if (before === undefined || position.incarnation > before.position.incarnation) return;
  const back =
    position.incarnation < before.position.incarnation ||
    position.lsn < before.position.lsn ||
    (position.lsn === before.position.lsn && position.seq < before.position.seq);
  if (back) throw new RowsealError('BadLogData', 'a batch behind what its source has sealed', { object: source, next: 'resume from sourceState()' });
}

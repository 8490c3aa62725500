// Batches that wait to be sealed together, in the order of the calls.
import { type EncodedEntries, entryEnd, lengthBytes } from '../log/bundle.ts';
import { RowsealError } from '../model/errors.ts';
import type { Batch } from '../ports/log-writer.ts';

export interface WaitingBatch {
  readonly batch: Batch;
  readonly bytes: number;
  readonly sinceMs: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** One journal object must hold it, with room for the state. */
const maxBatchBytes = 128 * 1024 * 1024;

export class SealingQueue {
  #waiting: WaitingBatch[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** When the longest waiting batch came, as the clock's monotonic time. */
  get oldestMs(): number {
    return this.#waiting[0]?.sinceMs ?? Number.POSITIVE_INFINITY;
  }

  /** The last batch of a source that still waits. */
  lastOf(source: string): Batch | undefined {
    return this.#waiting.findLast(({ batch }) => batch.state.source === source)?.batch;
  }

  /** Resolves once the batch is committed. Until it is taken, the signal withdraws it, with every later one of its source. */
  async push(batch: Batch, sinceMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const bytes = sizeOf(batch);
    const withdraw = (): void => this.#withdraw(batch, signal);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push({ batch, bytes, sinceMs, resolve, reject });
        this.#bytes += bytes;
        signal.addEventListener('abort', withdraw, { once: true });
      });
    } finally {
      signal.removeEventListener('abort', withdraw);
    }
  }

  /** The oldest batches, up to `maxBytes` but at least one; they can no longer be withdrawn. */
  take(maxBytes: number): WaitingBatch[] {
    const taken: WaitingBatch[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      if (taken.length > 0 && bytes + waiting.bytes > Math.min(maxBytes, maxBatchBytes)) break;
      taken.push(waiting);
      bytes += waiting.bytes;
    }
    this.#waiting = this.#waiting.slice(taken.length);
    this.#bytes -= bytes;
    return taken;
  }

  rejectAll(error: unknown): void {
    for (const waiting of this.take(Number.POSITIVE_INFINITY)) waiting.reject(error);
    if (!this.empty) this.rejectAll(error);
  }

  /** A later batch of the source must not be committed without this one: its state would claim these entries. */
  #withdraw(batch: Batch, signal: AbortSignal): void {
    const at = this.#waiting.findIndex((waiting) => waiting.batch === batch);
    if (at < 0) return;
    const gone = this.#waiting.slice(at).filter((waiting) => waiting.batch.state.source === batch.state.source);
    this.#waiting = this.#waiting.filter((waiting) => !gone.includes(waiting));
    for (const waiting of gone) {
      this.#bytes -= waiting.bytes;
      waiting.reject(signal.reason);
    }
  }
}

function sizeOf({ entries, blobs = [] }: Batch): number {
  assertEncoded(entries);
  let bytes = entries.bytes.length;
  if (bytes > maxBatchBytes) throw new RowsealError('BadLogData', `a batch of ${bytes} bytes is too large`, { next: 'append smaller batches' });
  for (const { length } of blobs) bytes += length;
  return bytes;
}

/** A wrong length would make two leaves of one entry, so it is walked once before anything is promised. */
function assertEncoded({ bytes, count }: EncodedEntries): void {
  let found = 0;
  for (let at = 0; at < bytes.length; found += 1) {
    const end = entryEnd(bytes, at);
    if (end === at + lengthBytes) throw new RowsealError('BadLogData', 'an entry without bytes cannot be a leaf');
    at = end;
  }
  if (found !== count) throw new RowsealError('BadLogData', `a batch of ${count} entries holds ${found}`);
}

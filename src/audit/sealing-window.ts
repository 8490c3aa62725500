// Batches on their way into the log: a bounded number at once, and what may be confirmed when they are in.
import type { SourceState } from '../log/source-state.ts';
import type { Batch, LogWriter } from '../ports/log-writer.ts';

export interface SealingWindow {
  /** Hands a batch over; resolves at once unless too much is under way. */
  append(batch: Batch): Promise<void>;
  /** True while a small batch is better handed over than kept to grow. */
  readonly roomy: () => boolean;
  /** Waits for everything that was handed over. */
  drain(): Promise<void>;
  readonly sealed: () => SourceState;
  readonly busy: () => boolean;
  /** Milliseconds since the oldest batch under way was handed over. */
  readonly oldestMs: () => number;
}

export interface SealingWindowOptions {
  readonly writer: LogWriter;
  readonly sealed: SourceState;
  readonly monotonicMs: () => number;
  readonly signal: AbortSignal;
  /** After the commit of each batch: only now may its marker be confirmed. */
  readonly onSealed: (batch: Batch) => void;
  readonly onFailure: (error: unknown) => void;
}

const maxBatches = 1024;
/** From here on batches grow instead: each costs the log a little, whatever its size. */
const manyBatches = 512;
const maxBytes = 8 * 1024 * 1024;

export function createSealingWindow(options: SealingWindowOptions): SealingWindow {
  const underWay: { readonly done: Promise<void>; readonly sinceMs: number }[] = [];
  const waiting = { bytes: 0 };
  const full = (): boolean => underWay.length > maxBatches || waiting.bytes > maxBytes;
  let sealed = options.sealed;
  const seal = async (batch: Batch, size: number): Promise<void> => {
    try {
      await options.writer.append(batch, options.signal);
      sealed = batch.state;
      options.onSealed(batch);
    } catch (error) {
      options.onFailure(error);
    } finally {
      waiting.bytes -= size;
      underWay.shift();
    }
  };
  return {
    append: async (batch) => {
      const size = batch.entries.bytes.length;
      waiting.bytes += size;
      underWay.push({ done: seal(batch, size), sinceMs: options.monotonicMs() });
      while (full()) await underWay[0]?.done;
    },
    roomy: () => underWay.length < manyBatches,
    drain: async () => {
      while (underWay.length > 0) await underWay[0]?.done;
    },
    sealed: () => sealed,
    busy: () => underWay.length > 0,
    oldestMs: () => (underWay[0] === undefined ? 0 : options.monotonicMs() - underWay[0].sinceMs),
  };
}

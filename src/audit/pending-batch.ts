// Entries that are not handed to the log yet, and up to where they may be: a cut goes with the state after it.
import type { SourceState } from '../log/source-state.ts';
import type { Batch } from '../ports/log-writer.ts';

export interface PendingBatch {
  add(entry: string, blobs?: readonly Uint8Array[]): void;
  /** Everything so far, and this state, may be sealed together. */
  cut(state: SourceState): void;
  /** Bytes since the last cut, about. */
  readonly uncutBytes: () => number;
  /** Entries and bytes up to the last cut. */
  readonly ready: () => { readonly entries: number; readonly bytes: number; readonly stateChanged: boolean };
  /** What is up to the last cut, as one buffer; undefined when neither entries nor a new state wait. */
  take(): Batch | undefined;
}

export function createPendingBatch(): PendingBatch {
  let texts: string[] = [];
  let blobs: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  let uncut = 0;
  let ready = { entries: 0, bytes: 0, state: undefined as SourceState | undefined };
  return {
    add: (entry, large = []) => {
      for (const bytes of large) blobs.push({ at: texts.length, bytes });
      texts.push(entry);
      uncut += entry.length;
    },
    cut: (state) => {
      ready = { entries: texts.length, bytes: ready.bytes + uncut, state };
      uncut = 0;
    },
    uncutBytes: () => uncut,
    ready: () => ({ entries: ready.entries, bytes: ready.bytes, stateChanged: ready.state !== undefined }),
    take: () => {
      if (ready.state === undefined) return undefined;
      const { entries, state } = ready;
      const batch = { entries: encode(texts.slice(0, entries)), state, blobs: blobs.filter(({ at }) => at < entries).map(({ bytes }) => bytes) };
      texts = texts.slice(entries);
      blobs = blobs.filter(({ at }) => at >= entries).map(({ at, bytes }) => ({ at: at - entries, bytes }));
      ready = { entries: 0, bytes: 0, state: undefined };
      return batch;
    },
  };
}

/** One buffer for all of them, and a view of it for each. */
function encode(texts: readonly string[]): readonly Uint8Array[] {
  const buffer = Buffer.from(texts.join(''));
  let at = 0;
  return texts.map((text) => {
    const start = at;
    at += Buffer.byteLength(text);
    return buffer.subarray(start, at);
  });
}

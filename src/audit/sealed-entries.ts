// Everything that a running writer has sealed, read back in order: full bundles from the store, the rest from memory.
import { decodeBundle, decodeEntries } from '../log/bundle.ts';
import { bundleKey, tileWidth } from '../log/tile.ts';
import type { EntryRun, TreeFront } from '../log/tree-front.ts';
import type { SealedEntry } from '../ports/log-writer.ts';
import type { LogFiles } from './log-files.ts';
import { inconsistent, trusted } from './stored.ts';

export interface SealedRange {
  /** Of the published tree. */
  readonly front: TreeFront;
  /** What is sealed behind it. */
  readonly runs: readonly EntryRun[];
  readonly fromLeaf: number;
}

/** What was sealed at the call; the log may grow meanwhile. Throws LogInconsistent for a bundle that is gone. */
export async function* sealedEntries({ front, runs, fromLeaf }: SealedRange, files: LogFiles, signal: AbortSignal): AsyncGenerator<SealedEntry> {
  const full = Math.floor(front.size / tileWidth);
  for (let index = Math.floor(fromLeaf / tileWidth); index < full; index += 1) {
    signal.throwIfAborted();
    yield* from(fromLeaf, index * tileWidth, await readBundle(index, files));
  }
  let start = full * tileWidth;
  for (const encoded of [front.bundle, ...runs.map((run) => run.encoded)]) {
    signal.throwIfAborted();
    const entries = decodeEntries(encoded);
    yield* from(fromLeaf, start, entries);
    start += entries.length;
  }
}

function* from(fromLeaf: number, start: number, entries: readonly Uint8Array[]): Generator<SealedEntry> {
  for (const [offset, entry] of entries.entries()) {
    const leafIndex = start + offset;
    if (leafIndex >= fromLeaf) yield { leafIndex, entry };
  }
}

async function readBundle(index: number, files: LogFiles): Promise<Buffer[]> {
  const key = bundleKey({ index, width: tileWidth });
  const bytes = await files.read(key);
  if (bytes === undefined) throw inconsistent('a published object is missing', files.name(key));
  return trusted(files.name(key), () => decodeBundle(bytes, tileWidth));
}

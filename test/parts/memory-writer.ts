// A log that keeps batches in memory, in the place of the real writer: commits after a moment, in order, or not at all.
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeEntries } from '../../src/log/bundle.ts';
import { sha256Hex } from '../../src/log/merkle.ts';
import type { SourceState } from '../../src/log/source-state.ts';
import type { Batch, LogWriter } from '../../src/ports/log-writer.ts';

export interface MemoryWriter extends LogWriter {
  readonly batches: readonly Batch[];
  entries(): readonly CapturedEntry[];
}

/** An entry as tests look at it. */
export type CapturedEntry = { readonly type: string; readonly [field: string]: unknown };

export function createMemoryWriter(origin = 'test.example/log'): MemoryWriter {
  const batches: Batch[] = [];
  const states = new Map<string, SourceState>();
  let tail: Promise<void> = Promise.resolve();
  return {
    origin,
    batches,
    entries: () => batches.flatMap((batch) => decodeEntries(batch.entries.bytes).map((entry) => JSON.parse(entry.toString('utf8')) as CapturedEntry)),
    sourceState: (source) => states.get(source),
    sources: () => [...states.values()],
    append: async (batch) => {
      const before = tail;
      const turn = (async () => {
        await before;
        await sleep(2);
        batches.push(batch);
        states.set(batch.state.source, batch.state);
      })();
      tail = turn;
      await turn;
    },
    async *sealed(fromLeaf) {
      const all = batches.flatMap((batch) => decodeEntries(batch.entries.bytes));
      for (const [leafIndex, entry] of all.entries()) if (leafIndex >= fromLeaf) yield { leafIndex, entry };
    },
    blob: async (digest) => batches.flatMap((batch) => batch.blobs ?? []).find((bytes) => sha256Hex(bytes) === digest),
    status: () => ({ treeSize: 0, sealedSize: batches.reduce((sum, batch) => sum + batch.entries.count, 0), rootHash: '' }),
    failed: new Promise<never>(() => undefined),
    close: async () => tail,
  };
}

// Follows a log as an outsider can: published entries only, each read once, payloads that were left out put back.
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError } from '../../src/model/errors.ts';
import type { LogReader } from '../../src/ports/log-store.ts';
import { readCheckpoint, readPublished } from '../../src/verify/read-entries.ts';
import type { SealedEntry } from './judge.ts';

export interface LogTail {
  /** Reads on until an entry is as wanted; then everything since the last call. Throws after the deadline. */
  readUntil(what: string, wanted: (entry: SealedEntry) => boolean, deadlineMs: number): Promise<readonly SealedEntry[]>;
}

export function createLogTail(open: () => Promise<LogReader>): LogTail {
  let size = 0;
  const { signal } = new AbortController();
  const read = async (into: SealedEntry[]): Promise<void> => {
    const reader = await open();
    const published = await readCheckpoint(reader, undefined, signal);
    if (published === undefined || published.head.size <= size) return;
    const taken: SealedEntry[] = [];
    for await (const { bytes } of readPublished(reader, { from: size, to: published.head.size }, signal)) taken.push(await whole(reader, bytes));
    size = published.head.size;
    into.push(...taken);
  };
  return {
    readUntil: async (what, wanted, deadlineMs) => {
      const entries: SealedEntry[] = [];
      const deadline = Date.now() + deadlineMs;
      for (let seen = 0; ; ) {
        // The store may be away; what it says then is what the deadline reports.
        const failure = await read(entries).then(() => '', describeError);
        while (seen < entries.length) {
          const entry = entries[seen++];
          if (entry !== undefined && wanted(entry)) return entries;
        }
        if (Date.now() > deadline) throw new Error(`${what}: not published within ${deadlineMs} ms, ${size} entries are; ${failure}`);
        await sleep(50);
      }
    },
  };
}

async function whole(reader: LogReader, bytes: Uint8Array): Promise<SealedEntry> {
  const entry = JSON.parse(Buffer.from(bytes).toString('utf8')) as SealedEntry;
  const digest = entry.change?.blob;
  if (digest === undefined) return entry;
  const blob = await reader.read(`blobs/sha256/${digest.slice('sha256:'.length)}`, new AbortController().signal);
  if (blob === undefined) throw new Error(`payload ${digest} is missing`);
  return { ...entry, change: JSON.parse(Buffer.from(blob).toString('utf8')) as NonNullable<SealedEntry['change']> };
}

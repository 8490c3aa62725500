// Real logs, made by the real writer in a real folder, and read back into memory where tests may tamper with them.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import { encodedEntries } from '../../src/log/bundle.ts';
import { encodeEntry } from '../../src/log/entry.ts';
import { generateSigningKey, type SigningKey } from '../../src/log/keys.ts';
import type { SourceState } from '../../src/log/source-state.ts';
import { lsn } from '../../src/model/branded.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { LogReader, LogStore } from '../../src/ports/log-store.ts';
import { quietLogger } from '../parts/quiet-logger.ts';

export const origin = 'rowseal.example.com/test';
export const sampleKey: SigningKey = generateSigningKey(origin, createHash('sha256').update('sample').digest()).key;

export type Files = ReadonlyMap<string, Buffer>;

export interface SampleOptions {
  /** Entries of each batch; one publication a list. 0 is a batch of state alone. */
  readonly publications: readonly (readonly number[])[];
  /** Payload bytes of an entry. */
  readonly padding?: number;
  /** One blob is stored for every so many entries. */
  readonly blobEvery?: number;
  readonly key?: SigningKey;
  readonly gapAt?: number;
}

/** Makes the log in a store that `open` gives; every publication is a writer's life, so recovery is on the way. */
export async function fillStore(open: () => Promise<LogStore>, options: SampleOptions): Promise<void> {
  let sealed = 0;
  const key = options.key ?? sampleKey;
  for (const batches of options.publications) {
    const { signal } = new AbortController();
    const writer = await openLogWriter({
      store: await open(),
      signingKey: key,
      origin: key.name,
      clock: systemClock,
      randomness: systemRandomness,
      logger: quietLogger(),
      retention: { days: 1, uncoveredDays: 1 },
      sealing: { maxDelayMs: 0, maxBytes: 8 * 1024 * 1024 },
      publishing: { maxDelayMs: 60_000 },
      signal,
    });
    for (const count of batches) {
      const blobs: Buffer[] = [];
      const entries = Array.from({ length: count }, (_, offset) => sampleEntry(sealed + offset, options, blobs));
      sealed += count;
      await writer.append({ entries: encodedEntries(entries), state: stateAt(sealed), blobs }, signal);
    }
    await writer.close(signal);
  }
}

export async function sampleLog(options: SampleOptions): Promise<Files> {
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-sample-'));
  try {
    await fillStore(async () => openFilesystemStore(folder), options);
    return readFolder(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readFolder(folder: string): Files {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const keys = names.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
  return new Map(keys.map((key) => [key, readFileSync(join(folder, key))]));
}

export function sampleEntry(index: number, { padding = 0, blobEvery, gapAt }: Omit<SampleOptions, 'publications'>, blobs: Buffer[] = []): Buffer {
  const source = { system: '7312', incarnation: 1, database: 'shop', timeline: 1, lsn: '0/1', commitLsn: `0/${(0x1000 + index * 16).toString(16).toUpperCase()}`, xid: index, seq: 1 };
  const time = '2026-11-23T10:00:00.123456Z';
  if (index === gapAt) return encodeEntry({ v: 1, type: 'gap', time, reconcilable: false });
  const named = blobEvery !== undefined && index % blobEvery === 0;
  if (named) blobs.push(Buffer.from(`blob ${index} ${'b'.repeat(100)}`));
  return encodeEntry({
    v: 1,
    type: 'row.insert',
    time,
    source,
    object: { schema: 'public', table: index % 2 === 0 ? 'orders' : 'items', key: { id: String(index) } },
    actor: { user: 'app', role: 'tenant', effective: 'tenant', claims: { sub: `user-${index % 3}` }, claimsVerified: false },
    change: { after: { id: String(index), note: 'x'.repeat(padding) } },
    ...(named ? { blobs: [`sha256:${createHash('sha256').update(blobs.at(-1) ?? '').digest('hex')}`] } : {}),
  });
}

export function stateAt(sealed: number): SourceState {
  return {
    source: 'postgresql/7312/shop',
    position: { incarnation: 1, lsn: lsn(BigInt(0x1000 + sealed * 16)), seq: 1, complete: true },
    relations: {},
    policies: {},
    configuration: {},
    counters: { changes: sealed, attributed: sealed, gaps: 0 },
  };
}

/** A reader of files in memory, as a copied folder would be. */
export function readerOf(files: Files): LogReader {
  const keys = [...files.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const at = '2026-11-23T10:00:00.000Z';
  return {
    location: 'memory:///log',
    read: async (key) => files.get(key),
    async *list(prefix) {
      for (const key of keys) if (key.startsWith(prefix)) yield { key, sizeBytes: files.get(key)?.length ?? 0 };
    },
    async *versions(prefix) {
      for (const key of keys) {
        if (key.startsWith(prefix)) yield { key, sizeBytes: files.get(key)?.length ?? 0, versionId: '', deleteMarker: false, latest: true, lastModified: at };
      }
    },
    readVersion: async (key) => files.get(key),
    retention: async () => undefined,
  };
}

/** The real time, and no waiting. */
export const hastyClock: Clock = { now: () => new Date(), monotonicMs: () => performance.now(), sleep: async () => {} };

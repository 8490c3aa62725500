// The writer on the strict store and on a real folder: what is committed, what is published, what is refused.
import { noEntries } from '../../src/log/bundle.ts';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import { generateSigningKey } from '../../src/log/keys.ts';
import { sha256Hex } from '../../src/log/merkle.ts';
import type { LogStore } from '../../src/ports/log-store.ts';
import { batchOf, checkLog, entryOf, origin, realClock, sealedCount, source, stateAfter, writerOptions } from '../parts/log-workload.ts';
import { openStrictStore, StrictBucket } from '../parts/strict-store.ts';
import { until } from '../parts/until.ts';

const { signal } = new AbortController();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rowseal-writer-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const stores: [string, () => () => Promise<LogStore>][] = [
  ['in memory', () => { const bucket = new StrictBucket(); return async () => openStrictStore(bucket); }],
  ['on a folder', () => { const path = mkdtempSync(join(folder, 'log-')); return () => openFilesystemStore(path); }],
];

describe.each(stores)('a log %s', (_name, place) => {
  it('holds every entry once and in order, over several openings and sizes around whole bundles', async () => {
    const open = place();
    let count = 0;
    for (const size of [0, 1, 255, 256, 257, 511, 512, 513, 1_300]) {
      const writer = await openLogWriter(writerOptions(await open()));
      expect(sealedCount(writer)).toBe(count);
      await writer.append(batchOf(count, size), signal);
      count = size;
      expect(writer.status().sealedSize).toBe(size);
      await writer.close(signal);
      expect(writer.status().treeSize).toBe(size);
    }
    const checked = await checkLog(await open());
    expect(checked.entries).toEqual(Array.from({ length: count }, (_, at) => entryOf(at)));
    expect(checked.digests).toBe(9);
  });

  it('reads back what it sealed from any leaf on: whole bundles, the partial one, and what is not published yet', async () => {
    const open = place();
    const writer = await openLogWriter(writerOptions(await open()));
    await writer.append(batchOf(0, 700), signal);
    await writer.close(signal);
    const again = await openLogWriter(writerOptions(await open(), { publishing: { maxDelayMs: 3_600_000 } }));
    await again.append(batchOf(700, 777), signal);
    for (const from of [0, 1, 255, 256, 600, 700, 776, 777]) {
      const leaves: { readonly leafIndex: number; readonly entry: string }[] = [];
      for await (const { leafIndex, entry } of again.sealed?.(from, signal) ?? []) leaves.push({ leafIndex, entry: Buffer.from(entry).toString('utf8') });
      expect(leaves).toEqual(Array.from({ length: 777 - from }, (_, at) => ({ leafIndex: from + at, entry: Buffer.from(entryOf(from + at)).toString('utf8') })));
    }
    await again.close(signal);
  });

  it('commits what waits together, in the order of the calls', async () => {
    const open = place();
    const writer = await openLogWriter(writerOptions(await open(), { sealing: { maxDelayMs: 50, maxBytes: 1024 * 1024 } }));
    await Promise.all(Array.from({ length: 40 }, (_, at) => writer.append(batchOf(at * 3, at * 3 + 3), signal)));
    await writer.close(signal);
    const checked = await checkLog(await open());
    expect(checked.entries).toEqual(Array.from({ length: 120 }, (_, at) => entryOf(at)));
    expect(checked.journals).toBe(1);
  });

  it('does not wait for the delay once there is enough to seal, and publishes when it is due', async () => {
    const open = place();
    const writer = await openLogWriter(writerOptions(await open(), { sealing: { maxDelayMs: 3_600_000, maxBytes: 1_000 }, publishing: { maxDelayMs: 10 } }));
    await writer.append(batchOf(0, 100), signal);
    await until(() => writer.status().treeSize === 100, 'the publication');
    await writer.close(signal);
  });

  it('publishes at once when sixteen bundles are complete', async () => {
    const writer = await openLogWriter(writerOptions(await place()(), { publishing: { maxDelayMs: 3_600_000 } }));
    await writer.append(batchOf(0, 4_095), signal);
    expect(writer.status().treeSize).toBe(0);
    await writer.append(batchOf(4_095, 4_096), signal);
    await until(() => writer.status().treeSize === 4_096, 'the publication');
    await writer.close(signal);
  });

  it('covers a batch without entries by a digest record of the same tree', async () => {
    const open = place();
    const writer = await openLogWriter(writerOptions(await open()));
    await writer.append(batchOf(0, 5), signal);
    await until(() => writer.status().treeSize === 5, 'the publication');
    await writer.append({ entries: noEntries, state: stateAfter(6) }, signal);
    await writer.close(signal);
    expect(await checkLog(await open())).toMatchObject({ journals: 2, digests: 2 });
    const again = await openLogWriter(writerOptions(await open()));
    expect(again.sourceState(source)).toEqual(stateAfter(6));
    await again.close(signal);
  });

  it('stores blobs before the batch that names them, and finds those that are there', async () => {
    const open = place();
    const store = await open();
    const writer = await openLogWriter(writerOptions(store));
    const blob = Buffer.alloc(100_000, 1);
    await writer.append({ ...batchOf(0, 1), blobs: [blob] }, signal);
    await writer.append({ ...batchOf(1, 2), blobs: [blob] }, signal);
    expect(await (await open()).read(`blobs/sha256/${sha256Hex(blob)}`, signal)).toEqual(blob);
    await writer.close(signal);
  });

  it('lets exactly one of two writers seal; the other one is fenced, and goes on after opening again', async () => {
    const open = place();
    const [first, second] = [await openLogWriter(writerOptions(await open())), await openLogWriter(writerOptions(await open()))];
    const outcomes = await Promise.allSettled([
      first.append(batchOf(0, 3), signal),
      second.append({ ...batchOf(0, 4), state: stateAfter(4, 'postgresql/2/other') }, signal),
    ]);
    const fenced = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(fenced).toMatchObject([{ reason: { code: 'WriterFenced' } }]);
    const loser = outcomes[0]?.status === 'rejected' ? first : second;
    await expect(loser.failed).rejects.toMatchObject({ code: 'WriterFenced' });
    await expect(loser.append(batchOf(0, 3), signal)).rejects.toMatchObject({ code: 'WriterFenced' });
    await expect(loser.close(signal)).rejects.toMatchObject({ code: 'WriterFenced' });
    await (loser === first ? second : first).close(signal);
    const again = await openLogWriter(writerOptions(await open()));
    await again.append(batchOf(sealedCount(again), 20), signal);
    await again.close(signal);
    await checkLog(await open());
  });

  it('refuses a log of another signer or origin, and a checkpoint that does not fit', async () => {
    const open = place();
    const writer = await openLogWriter(writerOptions(await open()));
    await writer.append(batchOf(0, 3), signal);
    await writer.close(signal);
    const other = generateSigningKey(origin, Buffer.alloc(32, 8)).key;
    await expect(openLogWriter(writerOptions(await open(), { signingKey: other }))).rejects.toMatchObject({ code: 'BadKey' });
    await expect(openLogWriter(writerOptions(await open(), { origin: 'elsewhere.example.com' }))).rejects.toMatchObject({ code: 'BadKey' });
  });

  it('withdraws a waiting batch when its signal is aborted, with the later ones of its source', async () => {
    const open = place();
    const writer = await openLogWriter(writerOptions(await open(), { sealing: { maxDelayMs: 200, maxBytes: 1024 * 1024 } }));
    const abort = new AbortController();
    const appended = [writer.append(batchOf(0, 1), signal), writer.append(batchOf(1, 2), abort.signal), writer.append(batchOf(2, 3), signal)];
    abort.abort(new Error('enough'));
    const outcomes = await Promise.allSettled(appended);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    await writer.close(signal);
    expect((await checkLog(await open())).entries).toHaveLength(1);
  });

  it('refuses an entry that no leaf can hold, and a batch behind what is sealed, and goes on', async () => {
    const writer = await openLogWriter(writerOptions(await place()()));
    await expect(writer.append({ entries: { bytes: Buffer.alloc(65_536, 1), count: 1 }, state: stateAfter(1) }, signal)).rejects.toMatchObject({ code: 'BadLogData' });
    await writer.append(batchOf(0, 5), signal);
    await expect(writer.append(batchOf(0, 4), signal)).rejects.toMatchObject({ code: 'BadLogData' });
    await writer.append(batchOf(5, 6), signal);
    await writer.close(signal);
    await expect(writer.append(batchOf(6, 7), signal)).rejects.toMatchObject({ code: 'BadUsage' });
  });
});

describe('a damaged log', () => {
  it('is refused, whichever object recovery needs is altered or gone', async () => {
    const bucket = new StrictBucket();
    const writer = await openLogWriter(writerOptions(openStrictStore(bucket)));
    await writer.append(batchOf(0, 300), signal);
    await writer.close(signal);
    const second = await openLogWriter(writerOptions(openStrictStore(bucket)));
    await second.append(batchOf(300, 320), signal);
    await second.close(signal);
    const needed = ['checkpoint', 'digests/00000000000000000002', 'digests/00000000000000000001', 'journal/00000000000000000002', 'tile/0/001.p/64', 'tile/1/000.p/1', 'tile/entries/001.p/64'];
    for (const key of needed) {
      const bytes = bucket.objects.get(key) ?? Buffer.alloc(0);
      for (const damaged of [undefined, Buffer.from(bytes.map((byte, at) => (at === 40 % bytes.length ? byte ^ 1 : byte))), bytes.subarray(0, -1)]) {
        if (damaged === undefined) bucket.objects.delete(key);
        else bucket.objects.set(key, damaged);
        await expect(openLogWriter(writerOptions(openStrictStore(bucket))), key).rejects.toMatchObject({ code: expect.stringMatching(/^(LogInconsistent|BadKey)$/) });
      }
      bucket.objects.set(key, bytes);
    }
    const sound = await openLogWriter(writerOptions(openStrictStore(bucket)));
    expect(sealedCount(sound)).toBe(320);
    await sound.close(signal);
  });

  it('is refused when its checkpoint is older than the last two digest records', async () => {
    const bucket = new StrictBucket();
    let old: Buffer = Buffer.alloc(0);
    for (const size of [10, 20, 30]) {
      const writer = await openLogWriter(writerOptions(openStrictStore(bucket)));
      await writer.append(batchOf(sealedCount(writer), size), signal);
      await writer.close(signal);
      if (size === 10) old = bucket.objects.get('checkpoint') ?? old;
    }
    bucket.objects.set('checkpoint', old);
    await expect(openLogWriter(writerOptions(openStrictStore(bucket)))).rejects.toMatchObject({ code: 'LogInconsistent' });
  });
});

describe('locks', () => {
  it('are long for what is full, short for journal and partials, and renewed while uncovered', async () => {
    const bucket = new StrictBucket();
    const dayMs = 24 * 60 * 60_000;
    const writer = await openLogWriter(writerOptions(openStrictStore(bucket)));
    await writer.append(batchOf(0, 300), signal);
    await writer.append(batchOf(300, 310), signal);
    await writer.close(signal);
    const days = (key: string) => Math.round(((bucket.locks.get(key)?.getTime() ?? 0) - Date.now()) / dayMs);
    expect(days('tile/0/000')).toBe(10);
    expect(days('tile/entries/000')).toBe(10);
    expect(days('checkpoints/310')).toBe(10);
    expect(days('journal/00000000000000000001')).toBe(3);
    expect(days('tile/0/001.p/54')).toBe(3);
    const later = { ...realClock, now: () => new Date(Date.now() + 2 * dayMs) };
    const again = await openLogWriter(writerOptions(openStrictStore(bucket), { clock: later }));
    await until(() => days('journal/00000000000000000002') === 5 && days('journal/00000000000000000001') === 5, 'the renewal');
    expect(days('tile/0/001.p/54')).toBe(5);
    expect(days('tile/0/000')).toBe(10);
    await again.close(signal);
  });
});

it('leaves nothing temporary in the folder, and removes what a killed process left', async () => {
  const path = mkdtempSync(join(folder, 'clean-'));
  const left = mkdtempSync(join(path, '.tmp-'));
  writeFileSync(join(left, '1'), 'half');
  const writer = await openLogWriter(writerOptions(await openFilesystemStore(path)));
  expect(readdirSync(path).filter((name) => name.startsWith('.'))).toHaveLength(1);
  await writer.append(batchOf(0, 3), signal);
  await writer.close(signal);
  expect(readdirSync(path).filter((name) => name.startsWith('.'))).toEqual([]);
});

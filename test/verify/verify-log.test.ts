// Verification of logs that the real writer made: clean ones are sound, and any change of any file is found and named.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { generateSigningKey, type VerifierKey } from '../../src/log/keys.ts';
import { signCheckpoint } from '../../src/log/checkpoint.ts';
import { treeSize } from '../../src/model/branded.ts';
import type { Verdict } from '../../src/verify/verdict.ts';
import { verifyLog, type VerifyOptions } from '../../src/verify/verify-log.ts';
import { type Files, hastyClock, origin, readerOf, sampleKey, sampleLog } from './sample-log.ts';

const { signal } = new AbortController();

async function judge(files: Files, options: Partial<VerifyOptions> = {}): Promise<Verdict> {
  return verifyLog(readerOf(files), { verifierKey: sampleKey.verifier, clock: hastyClock, ...options }, signal);
}

function changed(files: Files, key: string, bytes: Buffer | undefined): Files {
  const copy = new Map(files);
  if (bytes === undefined) copy.delete(key);
  else copy.set(key, bytes);
  return copy;
}

/** Nothing that was done to a file passes, and the file is named. */
async function expectFound(files: Files, file: string): Promise<void> {
  const verdict = await judge(files);
  const named = verdict.findings.map((finding) => finding.file);
  expect({ sound: verdict.status === 'Sound', file, named: named.includes(file) ? file : named }).toEqual({ sound: false, file, named: file });
}

let small: Files;
let wide: Files;
beforeAll(async () => {
  small = await sampleLog({ publications: [[2], [1, 2], [4]], blobEvery: 8 });
  wide = await sampleLog({ publications: [[3], [200, 100], [50, 0, 60], [300]], blobEvery: 100, gapAt: 5 });
});

describe('a clean log', () => {
  it('is sound, with everything counted', async () => {
    const verdict = await judge(wide);
    expect(verdict).toMatchObject({ status: 'Sound', findings: [], treeSize: 713, sealedSize: 713, origin, notes: [] });
    expect(verdict.counts).toMatchObject({ digests: 4, checkpoints: 4, journals: 7, blobs: 8, gaps: 1 });
    const tiles = [...wide.keys()].filter((key) => key.startsWith('tile/') && !key.startsWith('tile/entries/'));
    expect(verdict.counts.tiles).toBe(tiles.length);
    expect(verdict.counts.bundles).toBe([...wide.keys()].filter((key) => key.startsWith('tile/entries/')).length);
  });

  it.each([1, 255, 256, 257, 511, 512])('is sound with %i entries', async (count) => {
    expect(await judge(await sampleLog({ publications: [[count]] }))).toMatchObject({ status: 'Sound', treeSize: count });
  });

  it('is sound with 65,537 entries, three levels of tiles, and partials between', async () => {
    const files = await sampleLog({ publications: [[300], [65_000], [236], [1]] });
    expect(await judge(files)).toMatchObject({ status: 'Sound', treeSize: 65_537 });
    expect([...files.keys()].some((key) => key.startsWith('tile/2/'))).toBe(true);
    const bundle = files.get('tile/entries/200') ?? Buffer.alloc(0);
    const flipped = Buffer.from(bundle);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    const verdict = await judge(changed(files, 'tile/entries/200', flipped));
    expect(verdict.findings).toMatchObject([{ code: 'Mismatch', file: 'tile/entries/200', leafIndex: 200 * 256 + 255, entry: expect.stringContaining('row.insert') }]);
  });

  it('is never accused, whatever its batches were', async () => {
    const batches = fc.array(fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(batches, fc.integer({ min: 1, max: 50 }), async (publications, blobEvery) => {
        const verdict = await judge(await sampleLog({ publications, blobEvery }));
        expect(verdict.findings).toEqual([]);
      }),
      { numRuns: 300 },
    );
  }, 300_000);
});

describe('a log that was changed', () => {
  it('is found at every byte of every file of a small log', async () => {
    for (const [file, bytes] of small) {
      for (let at = 0; at < bytes.length; at += 1) {
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
        await expectFound(changed(small, file, copy), file);
      }
    }
  }, 300_000);

  it('is found at any byte of any file, changed to anything', async () => {
    const files = [...wide.keys()];
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (which, where, mask) => {
        const file = files[which % files.length] ?? '';
        const copy = Buffer.from(wide.get(file) ?? '');
        const at = where % copy.length;
        copy[at] = (copy[at] ?? 0) ^ mask;
        await expectFound(changed(wide, file, copy), file);
      }),
      { numRuns: 300 },
    );
  }, 300_000);

  it.each([
    ['removed', () => undefined],
    ['emptied', () => Buffer.alloc(0)],
    ['cut by one byte', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['cut in half', (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length / 2))],
    ['extended by one byte', (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(0)])],
    ['extended by a newline', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('\n')])],
    ['doubled', (bytes: Buffer) => Buffer.concat([bytes, bytes])],
    ["given a stranger's signature", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('— stranger AAAAAAAA\n')])],
  ] as const)('is found when any one file is %s', async (_, change) => {
    for (const [file, bytes] of wide) await expectFound(changed(wide, file, change(bytes)), file);
  });

  it('is found when any two files are swapped', async () => {
    const files = [...small];
    for (const [a, bytesA] of files) {
      for (const [b, bytesB] of files) {
        if (a < b && !bytesA.equals(bytesB)) await expectFound(changed(changed(small, a, bytesB), b, bytesA), a);
      }
    }
  });

  it('is found when any file is replaced by a copy of another', async () => {
    for (const [a, bytesA] of small) {
      for (const [, bytesB] of small) if (!bytesA.equals(bytesB)) await expectFound(changed(small, a, bytesB), a);
    }
  });

  it.each(['journal/1', 'notes.txt', 'tile/0/999', 'tile/entries/000.p/255', 'checkpoints/9999', 'tile/9/000'])('is found when %s is added', async (file) => {
    await expectFound(changed(wide, file, Buffer.from('added')), file);
  });

  it('is found when the last digest record is removed, though it published no more than state', async () => {
    const files = await sampleLog({ publications: [[3], [0], [0, 0]] });
    expect(await judge(files)).toMatchObject({ status: 'Sound', treeSize: 3 });
    for (const file of files.keys()) await expectFound(changed(files, file, undefined), file);
  });

  it('names the first bad leaf of a bundle', async () => {
    const file = 'tile/entries/001';
    const copy = Buffer.from(wide.get(file) ?? '');
    copy[2 + copy.readUInt16BE(0) + 10] = 0;
    const { findings } = await judge(changed(wide, file, copy));
    expect(findings).toMatchObject([{ code: 'Mismatch', file, leafIndex: 257, entry: 'row.insert public.items at 1:0/2010:1' }]);
  });

  it('is incomplete, not tampered, when only files are missing', async () => {
    for (const file of wide.keys()) expect(await judge(changed(wide, file, undefined))).toMatchObject({ status: 'Incomplete' });
  });

  it('is still rebuilt from its bundles when the whole journal is gone', async () => {
    const files = new Map([...wide].filter(([key]) => !key.startsWith('journal/')));
    const verdict = await judge(files);
    expect(verdict.status).toBe('Incomplete');
    expect(verdict.findings.every(({ code, file }) => code === 'Missing' && file.startsWith('journal/'))).toBe(true);
    const bundle = Buffer.from(wide.get('tile/entries/000') ?? '');
    bundle[30] = (bundle[30] ?? 0) ^ 1;
    files.set('tile/entries/000', bundle);
    expect((await judge(files)).findings).toContainEqual(expect.objectContaining({ code: 'Mismatch', file: 'tile/entries/000' }));
  });
});

describe('a log beside what else the verifier knows', () => {
  const stranger = (name: string): VerifierKey => generateSigningKey(name, createHash('sha256').update('stranger').digest()).key.verifier;

  it('tells a wrong key and a foreign log from a tampered one', async () => {
    expect((await judge(small, { verifierKey: stranger(origin) })).findings).toMatchObject([{ code: 'WrongKey' }]);
    expect((await judge(small, { verifierKey: stranger('rowseal.example.com/other') })).findings).toMatchObject([{ code: 'ForeignLog' }]);
  });

  it('throws LogNotFound where nothing is stored', async () => {
    await expect(judge(new Map())).rejects.toMatchObject({ code: 'LogNotFound' });
  });

  it('extends every checkpoint that it published, and no other', async () => {
    for (const [key, bytes] of wide) {
      if (key.startsWith('checkpoints/')) expect(await judge(wide, { expectedCheckpoint: bytes })).toMatchObject({ status: 'Sound' });
    }
    const other = Buffer.alloc(32, 7);
    for (const size of [5, 713, 714]) {
      const expectedCheckpoint = await signCheckpoint({ origin, size: treeSize(size), root: other }, sampleKey);
      expect((await judge(wide, { expectedCheckpoint })).findings).toMatchObject([{ code: 'NotExtending' }]);
    }
  });

  it('that was put back to an older state is caught by a kept checkpoint alone', async () => {
    const older = await sampleLog({ publications: [[3], [200, 100]], blobEvery: 100, gapAt: 5 });
    expect(await judge(older)).toMatchObject({ status: 'Sound' });
    const kept = wide.get('checkpoint') ?? Buffer.alloc(0);
    expect((await judge(older, { expectedCheckpoint: kept })).findings).toMatchObject([{ code: 'NotExtending', file: 'checkpoint' }]);
  });

  it('counts sealed entries that are not published yet, and wonders when they stay so', async () => {
    const live = new Map([...small].filter(([key]) => !/^(digests\/0*3|checkpoints\/9|tile\/.*\.p\/9)$/.test(key)));
    live.set('checkpoint', small.get('checkpoints/5') ?? Buffer.alloc(0));
    expect(await judge(live, { unpublishedAfterMs: Number.POSITIVE_INFINITY })).toMatchObject({ status: 'Sound', treeSize: 5, sealedSize: 9, notes: [expect.stringContaining('sealed, not published')] });
    expect(await judge(live)).toMatchObject({ status: 'Incomplete', findings: [{ code: 'Unpublished' }] });
  });
});

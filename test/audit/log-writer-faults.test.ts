// Every write of seal and publish fails in every way: there is one history, nothing is lost, and the root is the same.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import type { LogWriter } from '../../src/ports/log-writer.ts';
import { batchOf, checkLog, entryOf, rootOf, sealedCount, writerOptions } from '../parts/log-workload.ts';
import { type Fault, openStrictStore, StrictBucket } from '../parts/strict-store.ts';

const { signal } = new AbortController();
const total = 640;
const step = 80;
const faults: Fault[] = ['fails', 'fails for good', 'persists, then fails for good', 'lost', 'dies', 'dies before'];

/** Appends until everything is sealed and published, opening the log again whenever the writer ends. */
async function drive(bucket: StrictBucket): Promise<number> {
  for (let openings = 1; openings < 20; openings += 1) {
    let writer: LogWriter | undefined;
    try {
      writer = await openLogWriter(writerOptions(openStrictStore(bucket)));
      for (let at = sealedCount(writer); at < total; at += step - (at % step)) await writer.append(batchOf(at, at + step - (at % step)), signal);
      await writer.close(signal);
      return openings;
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^Storage/) });
      await writer?.failed.catch(() => undefined);
    }
  }
  throw new Error('never came to an end');
}

const wantedRoot = rootOf(Array.from({ length: total }, (_, at) => createHash('sha256').update(Buffer.of(0)).update(entryOf(at)).digest())).toString('base64');

async function expectWhole(bucket: StrictBucket): Promise<void> {
  const checked = await checkLog(openStrictStore(bucket));
  expect(checked.entries).toHaveLength(total);
  expect(checked.root).toBe(wantedRoot);
  expect(bucket.violations).toEqual([]);
}

describe('one write', () => {
  it.each(faults)('that %s, wherever it is', async (fault) => {
    const whole = new StrictBucket();
    await drive(whole);
    await expectWhole(whole);
    for (let write = 0; write < whole.writes; write += 1) {
      const bucket = new StrictBucket();
      bucket.fault = (number) => (number === write ? fault : undefined);
      await drive(bucket);
      await expectWhole(bucket);
    }
  });
});

it('many writes at random, of every kind', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const bucket = new StrictBucket();
    bucket.fault = (number) => {
      const draw = createHash('sha256').update(`${seed}:${number}`).digest();
      return (draw[0] ?? 0) < 40 ? faults[(draw[1] ?? 0) % faults.length] : undefined;
    };
    await drive(bucket).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    await expectWhole(bucket);
  }
});

it('a store that stays away ends the writer with StorageUnreachable, and loses nothing', async () => {
  const bucket = new StrictBucket();
  let away = true;
  bucket.fault = (_, key) => (away && key.startsWith('journal/') ? 'fails' : undefined);
  const writer = await openLogWriter(writerOptions(openStrictStore(bucket)));
  await expect(writer.append(batchOf(0, step), signal)).rejects.toMatchObject({ code: 'StorageUnreachable', retryable: true });
  await expect(writer.failed).rejects.toMatchObject({ code: 'StorageUnreachable' });
  away = false;
  await drive(bucket);
  await expectWhole(bucket);
});

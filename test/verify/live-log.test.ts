// Verification while a writer goes on: what is being sealed and published meanwhile is no fault of the log's.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openFilesystemReader } from '../../src/adapters/filesystem/reader.ts';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import { encodedEntries } from '../../src/log/bundle.ts';
import { verifyLog } from '../../src/verify/verify-log.ts';
import { quietLogger } from '../parts/quiet-logger.ts';
import { origin, sampleEntry, sampleKey, stateAt } from './sample-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'rowseal-live-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a live log', () => {
  it('is sound at every moment', async () => {
    const { signal } = new AbortController();
    const writer = await openLogWriter({
      store: await openFilesystemStore(folder),
      signingKey: sampleKey,
      origin,
      clock: systemClock,
      randomness: systemRandomness,
      logger: quietLogger(),
      retention: { days: 1, uncoveredDays: 1 },
      sealing: { maxDelayMs: 2, maxBytes: 1024 * 1024 },
      publishing: { maxDelayMs: 25 },
      signal,
    });
    const stopped = new AbortController();
    let sealed = 0;
    const append = async (): Promise<void> => {
      const entries = Array.from({ length: 1 + (sealed % 40) }, (_, offset) => sampleEntry(sealed + offset, {}));
      sealed += entries.length;
      await writer.append({ entries: encodedEntries(entries), state: stateAt(sealed) }, signal);
    };
    await append();
    const work = (async () => {
      while (!stopped.signal.aborted) {
        await append();
        await systemClock.sleep(10, signal);
      }
    })();
    try {
      const reader = await openFilesystemReader(folder);
      for (let round = 0; round < 8; round += 1) {
        const verdict = await verifyLog(reader, { verifierKey: sampleKey.verifier, clock: systemClock }, signal);
        expect(verdict.findings).toEqual([]);
      }
    } finally {
      stopped.abort();
      await work;
      await writer.close(signal);
    }
  });
});

// A LogStore in memory that notices every attempt to change a written key, and that fails where a test wants it to.
import { RowsealError } from '../../src/model/errors.ts';
import type { CreateOptions, LogStore, StoredKey } from '../../src/ports/log-store.ts';

/** `lost`: persisted, and the answer never came. `dies`: persisted, and the process does nothing any more. */
export type Fault = 'fails' | 'fails for good' | 'persists, then fails for good' | 'lost' | 'dies' | 'dies before';

export class StrictBucket {
  readonly objects = new Map<string, Buffer>();
  readonly locks = new Map<string, Date>();
  /** Keys that are a pure function of the journal and that somebody tried to write with other bytes. */
  readonly violations: string[] = [];
  /** Number of writes so far. */
  writes = 0;
  /** Asked before each write, with its number from 0. */
  fault: (write: number, key: string) => Fault | undefined = () => undefined;
}

export function openStrictStore(bucket: StrictBucket): LogStore {
  const life = { dead: false };
  const assertAlive = (signal: AbortSignal): void => {
    signal.throwIfAborted();
    if (life.dead) throw new RowsealError('StorageRefused', 'the process is dead');
  };
  const list = (prefix: string): StoredKey[] =>
    [...bucket.objects]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, bytes]) => ({ key, sizeBytes: bytes.length }))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  const write = async <T>(key: string, signal: AbortSignal, persist: () => T): Promise<T> => {
    assertAlive(signal);
    const fault = bucket.fault(bucket.writes, key);
    bucket.writes += 1;
    await Promise.resolve();
    return faulty(fault, persist, life);
  };
  return {
    location: 'memory:',
    read: async (key, signal) => {
      assertAlive(signal);
      const bytes = bucket.objects.get(key);
      return bytes === undefined ? undefined : Buffer.from(bytes);
    },
    list: async function* (prefix, signal) {
      assertAlive(signal);
      yield* list(prefix);
    },
    versions: async function* (prefix, signal) {
      assertAlive(signal);
      for (const one of list(prefix)) yield { ...one, versionId: '', deleteMarker: false, latest: true, lastModified: new Date(0).toISOString() };
    },
    readVersion: async (key, versionId) => (versionId === '' ? bucket.objects.get(key) : undefined),
    retention: async (key) => {
      const retainUntil = bucket.locks.get(key);
      return retainUntil === undefined ? undefined : { mode: 'Compliance', retainUntil };
    },
    create: (key, bytes, options) => write(key, options.signal, () => create(bucket, key, { bytes, options })),
    replaceCheckpoint: (bytes, expected, signal) =>
      write('checkpoint', signal, () => {
        const current = bucket.objects.get('checkpoint');
        if (current === undefined || expected === undefined ? current !== expected : !current.equals(expected)) return false;
        bucket.objects.set('checkpoint', Buffer.from(bytes));
        return true;
      }),
    extendRetention: async (key, retainUntil, signal) => {
      assertAlive(signal);
      const current = bucket.locks.get(key);
      if (current !== undefined && current < retainUntil) bucket.locks.set(key, retainUntil);
    },
    probe: async (signal) => assertAlive(signal),
    close: async () => undefined,
  };
}

function create(bucket: StrictBucket, key: string, { bytes, options }: { bytes: Uint8Array; options: CreateOptions }): 'created' | 'exists' {
  const current = bucket.objects.get(key);
  if (current === undefined) {
    bucket.objects.set(key, Buffer.from(bytes));
    bucket.locks.set(key, options.retainUntil);
    return 'created';
  }
  if (/^(tile|blobs)\//.test(key) && !current.equals(bytes)) bucket.violations.push(key);
  return 'exists';
}

function faulty<T>(fault: Fault | undefined, persist: () => T, life: { dead: boolean }): T {
  const transient = new RowsealError('StorageUnreachable', 'connection reset', { retryable: true });
  const final = new RowsealError('StorageRefused', 'the disk is gone');
  switch (fault) {
    case undefined:
      return persist();
    case 'fails':
      throw transient;
    case 'fails for good':
      throw final;
    case 'persists, then fails for good':
      persist();
      throw final;
    case 'lost':
      persist();
      throw transient;
    case 'dies':
      persist();
      life.dead = true;
      throw final;
    case 'dies before':
      life.dead = true;
      throw final;
  }
}

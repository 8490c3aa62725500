// What every LogStore must do, as one suite run against each of them.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { LogStore, StoredKey, StoredVersion } from '../../src/ports/log-store.ts';

export interface StoreUnderTest {
  readonly name: string;
  /** Whether the store knows locks; those tests are about it alone. */
  readonly locks: boolean;
  /** A store on an empty root; every call gives another root. */
  open(): Promise<LogStore>;
  /** A second client of the same root, as another process would have. */
  reopen(store: LogStore): Promise<LogStore>;
}

const { signal } = new AbortController();
const retainUntil = new Date(Date.now() + 60 * 60_000);
const options = { retainUntil, signal };

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export function describeLogStore(subject: StoreUnderTest): void {
  describe(`${subject.name} as a LogStore`, () => {
    createContract(subject);
    readContract(subject);
    checkpointContract(subject);
    if (subject.locks) lockContract(subject);
  });
}

function createContract(subject: StoreUnderTest): void {
  it('lets exactly one of 32 concurrent creators win, whole', async () => {
    const store = await subject.open();
    const other = await subject.reopen(store);
    const bodies = Array.from({ length: 32 }, () => randomBytes(2_000));
    const results = await Promise.all(bodies.map((bytes, at) => (at % 2 === 0 ? store : other).create('journal/00000000000000000001', bytes, options)));
    expect(results.filter((result) => result === 'created')).toHaveLength(1);
    const winner = bodies[results.indexOf('created')];
    expect(Buffer.from((await store.read('journal/00000000000000000001', signal)) ?? []).equals(winner ?? Buffer.alloc(0))).toBe(true);
    await Promise.all([store.close(), other.close()]);
  });

  it('says exists for a key that is there, and leaves it as it was', async () => {
    const store = await subject.open();
    expect(await store.create('tile/0/000', Buffer.from('one'), options)).toBe('created');
    expect(await store.create('tile/0/000', Buffer.from('two'), options)).toBe('exists');
    expect(await store.create('tile/0/000', Buffer.from('one'), options)).toBe('exists');
    expect(await readText(store, 'tile/0/000')).toBe('one');
    await store.close();
  });

  it('admits a key beside the folder that its name resembles', async () => {
    const store = await subject.open();
    expect(await store.create('tile/0/000.p/7', Buffer.from('partial'), options)).toBe('created');
    expect(await store.create('tile/0/000', Buffer.from('full'), options)).toBe('created');
    expect(await readText(store, 'tile/0/000.p/7')).toBe('partial');
    await store.close();
  });

  it('keeps an empty object, and one of a megabyte', async () => {
    const store = await subject.open();
    const large = randomBytes(1024 * 1024);
    await store.create('blobs/empty', Buffer.alloc(0), options);
    await store.create('blobs/large', large, options);
    expect(await store.read('blobs/empty', signal)).toHaveLength(0);
    expect(large.equals((await store.read('blobs/large', signal)) ?? Buffer.alloc(0))).toBe(true);
    await store.close();
  });

  it('creates nothing once the signal is aborted, and passes its reason on', async () => {
    const store = await subject.open();
    const reason = new Error('enough');
    const aborted = AbortSignal.abort(reason);
    await expect(store.create('tile/0/000', Buffer.from('x'), { retainUntil, signal: aborted })).rejects.toBe(reason);
    await expect(store.read('tile/0/000', aborted)).rejects.toBe(reason);
    await expect(collect(store.list('', aborted))).rejects.toBe(reason);
    expect(await store.read('tile/0/000', signal)).toBeUndefined();
    await store.close();
  });
}

function readContract(subject: StoreUnderTest): void {
  it('reads nothing where there is nothing', async () => {
    const store = await subject.open();
    expect(await store.read('journal/1', signal)).toBeUndefined();
    expect(await collect(store.list('', signal))).toEqual([]);
    expect(await collect(store.versions('', signal))).toEqual([]);
    await store.close();
  });

  it('shows to a second client at once what the first created', async () => {
    const store = await subject.open();
    const other = await subject.reopen(store);
    for (let number = 0; number < 10; number += 1) {
      await store.create(`digests/${number}`, Buffer.from(`${number}`), options);
      expect(await readText(other, `digests/${number}`)).toBe(`${number}`);
      expect(await collect(other.list('digests/', signal))).toHaveLength(number + 1);
    }
    await Promise.all([store.close(), other.close()]);
  });

  it('lists keys by the order of their bytes, and only those with the prefix', async () => {
    const store = await subject.open();
    const keys = ['tile/0/001', 'tile/0/000.p/5', 'tile/0/000', 'tile/entries/000', 'tile/1/000', 'tiles', 'journal/2', 'journal/10', 'tile/0/x001/000'];
    for (const key of keys) await store.create(key, Buffer.from(key), options);
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect((await collect(store.list('', signal))).map(({ key }) => key)).toEqual(sorted);
    expect((await collect<StoredKey>(store.list('tile/0/', signal))).map(({ key }) => key)).toEqual(sorted.filter((key) => key.startsWith('tile/0/')));
    expect((await collect(store.list('tile/0/00', signal))).map(({ key }) => key)).toEqual(sorted.filter((key) => key.startsWith('tile/0/00')));
    for (const { key, sizeBytes } of await collect(store.list('', signal))) expect(sizeBytes).toBe(key.length);
    await store.close();
  });

  it('has one latest version of every key, readable by its id', async () => {
    const store = await subject.open();
    for (const key of ['journal/1', 'journal/2']) await store.create(key, Buffer.from(key), options);
    const versions: StoredVersion[] = await collect(store.versions('journal/', signal));
    expect(versions.map(({ key, latest, deleteMarker, sizeBytes }) => ({ key, latest, deleteMarker, sizeBytes }))).toEqual([
      { key: 'journal/1', latest: true, deleteMarker: false, sizeBytes: 9 },
      { key: 'journal/2', latest: true, deleteMarker: false, sizeBytes: 9 },
    ]);
    for (const { key, versionId } of versions) expect(Buffer.from((await store.readVersion(key, versionId, signal)) ?? []).toString()).toBe(key);
    await store.close();
  });
}

function checkpointContract(subject: StoreUnderTest): void {
  it('replaces the checkpoint only when it is still what was expected', async () => {
    const store = await subject.open();
    const [one, two, three] = ['one', 'two', 'three'].map((text) => Buffer.from(text));
    if (one === undefined || two === undefined || three === undefined) return;
    expect(await store.replaceCheckpoint(two, one, signal)).toBe(false);
    expect(await store.replaceCheckpoint(one, undefined, signal)).toBe(true);
    expect(await store.replaceCheckpoint(two, undefined, signal)).toBe(false);
    expect(await store.replaceCheckpoint(two, one, signal)).toBe(true);
    expect(await store.replaceCheckpoint(three, one, signal)).toBe(false);
    expect(await readText(store, 'checkpoint')).toBe('two');
    await store.close();
  });
}

function lockContract(subject: StoreUnderTest): void {
  it('locks what it creates, extends the lock, and never shortens it', async () => {
    const store = await subject.open();
    await store.create('journal/1', Buffer.from('x'), options);
    const lockOf = async () => {
      const [version] = await collect(store.versions('journal/1', signal));
      return (await store.retention('journal/1', version?.versionId ?? '', signal))?.retainUntil.getTime() ?? 0;
    };
    expect(Math.abs((await lockOf()) - retainUntil.getTime())).toBeLessThan(1_000);
    const later = new Date(retainUntil.getTime() + 60 * 60_000);
    await store.extendRetention('journal/1', later, signal);
    expect(Math.abs((await lockOf()) - later.getTime())).toBeLessThan(1_000);
    await store.extendRetention('journal/1', retainUntil, signal);
    expect(Math.abs((await lockOf()) - later.getTime())).toBeLessThan(1_000);
    await store.close();
  });
}

async function readText(store: LogStore, key: string): Promise<string> {
  return Buffer.from((await store.read(key, signal)) ?? []).toString();
}

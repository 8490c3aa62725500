// The S3 store on a real server with Object Lock: the contract, what locks forbid, and what the probe refuses.
import { DeleteObjectCommand, DeleteObjectsCommand, PutObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseS3Location } from '../../src/adapters/s3/s3-location.ts';
import { openS3Reader } from '../../src/adapters/s3/s3-reader.ts';
import { createS3Store, type S3StoreSettings } from '../../src/adapters/s3/s3-store.ts';
import { RowsealError } from '../../src/model/errors.ts';
import type { LogStore } from '../../src/ports/log-store.ts';
import { freePort } from '../parts/postgres.ts';
import { type S3Server, startS3 } from '../parts/s3.ts';
import { collect, describeLogStore } from './contract.ts';
import { startFaultyProxy } from './faulty-proxy.ts';

const { signal } = new AbortController();
const hour = 60 * 60_000;
const options = { retainUntil: new Date(Date.now() + hour), signal };

let server: S3Server;
let bucket: string;
let roots = 0;

beforeAll(async () => {
  server = await startS3();
  bucket = await server.createBucket('Locked');
});
afterAll(async () => server.stop());

function settings(changes: Partial<S3StoreSettings> = {}): S3StoreSettings {
  const { endpoint, region, credentials } = server;
  return { endpoint, region, credentials, bucket, prefix: 'log', forcePathStyle: true, objectLock: 'Compliance', ...changes };
}

async function codeOf(action: Promise<unknown>): Promise<string> {
  const error: unknown = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RowsealError)) return String(error);
  expect(error.object).toBeTruthy();
  expect(error.next).toBeTruthy();
  return error.code;
}

const prefixes = new WeakMap<LogStore, string>();
function openAt(prefix: string): LogStore {
  const store = createS3Store(settings({ prefix }));
  prefixes.set(store, prefix);
  return store;
}

describeLogStore({
  name: 'S3',
  locks: true,
  open: async () => openAt(`contract/${(roots += 1)}`),
  reopen: async (store) => openAt(prefixes.get(store) ?? ''),
});

describe('a sealed object on S3', () => {
  it("cannot be deleted or shortened with the writer's own credentials", async () => {
    const store = openAt('sealed');
    await store.create('journal/1', Buffer.from('sealed'), options);
    const [version] = await collect(store.versions('journal/1', signal));
    const target = { Bucket: bucket, Key: 'sealed/journal/1', VersionId: version?.versionId ?? '' };
    await expect(server.client.send(new DeleteObjectCommand(target))).rejects.toMatchObject({ name: 'AccessDenied' });
    await expect(server.client.send(new DeleteObjectCommand({ ...target, BypassGovernanceRetention: true }))).rejects.toMatchObject({ name: 'AccessDenied' });
    const Objects = [{ Key: target.Key, VersionId: target.VersionId }];
    const many = await server.client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    expect(many.Errors?.map(({ Code }) => Code)).toEqual(['AccessDenied']);
    const Retention = { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + 60_000) } as const;
    await expect(server.client.send(new PutObjectRetentionCommand({ ...target, Retention }))).rejects.toMatchObject({ name: 'AccessDenied' });
    expect(Buffer.from((await store.readVersion('journal/1', target.VersionId, signal)) ?? []).toString()).toBe('sealed');
    await store.close();
  });

  it('is still listed and read behind a delete marker, and the marker is listed too', async () => {
    const store = openAt('hidden');
    await store.create('journal/1', Buffer.from('sealed'), options);
    await server.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'hidden/journal/1' }));
    expect(Buffer.from((await store.read('journal/1', signal)) ?? []).toString()).toBe('sealed');
    expect((await collect(store.list('journal/', signal))).map(({ key }) => key)).toEqual(['journal/1']);
    expect((await collect(store.versions('journal/', signal))).map(({ deleteMarker }) => deleteMarker)).toEqual([false, true]);
    await store.close();
  });

  it('stays the oldest version when it is overwritten, over many pages of versions', async () => {
    const store = openAt('shadowed');
    await store.create('a', Buffer.from('sealed'), options);
    await store.create('b', Buffer.from('other'), options);
    for (let batch = 0; batch < 22; batch += 1) {
      const writes = Array.from({ length: 50 }, () => server.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'shadowed/a', Body: 'shadow' })));
      await Promise.all(writes);
    }
    const versions = await collect(store.versions('', signal));
    expect(versions.map(({ key }) => key)).toEqual([...Array.from({ length: 1101 }, () => 'a'), 'b']);
    expect(new Set(versions.map(({ versionId }) => versionId)).size).toBe(1102);
    expect(Buffer.from((await store.readVersion('a', versions[0]?.versionId ?? '', signal)) ?? []).toString()).toBe('sealed');
    expect((await collect(store.list('', signal))).map(({ key }) => key)).toEqual(['a', 'b']);
    await store.close();
  });

  it('is found by a create whose response was lost', async () => {
    const proxy = await startFaultyProxy(server.endpoint);
    const store = createS3Store(settings({ endpoint: proxy.endpoint, prefix: 'lost' }));
    proxy.loseNextResponse();
    expect(await store.create('journal/1', Buffer.from('sealed'), options)).toBe('exists');
    proxy.refuseNextRequests(2);
    expect(await store.create('journal/2', Buffer.from('sealed'), options)).toBe('created');
    proxy.loseNextResponse();
    expect(await store.replaceCheckpoint(Buffer.from('one'), undefined, signal)).toBe(true);
    await store.close();
    await proxy.stop();
  });
});

describe('the probe', () => {
  it('accepts a bucket with Object Lock, and leaves nothing in the log', async () => {
    for (const prefix of ['probed', undefined]) {
      const { prefix: _, ...rest } = settings();
      const store = createS3Store(prefix === undefined ? { ...rest, bucket: await server.createBucket('Locked') } : { ...rest, prefix });
      await store.probe(signal);
      expect(await collect(store.versions('', signal))).toEqual([]);
      await store.close();
    }
  });

  it('refuses a bucket without versions or without Object Lock', async () => {
    for (const kind of ['Plain', 'Versioned'] as const) {
      const store = createS3Store(settings({ bucket: await server.createBucket(kind) }));
      expect(await codeOf(store.probe(signal))).toBe('StorageNotWriteOnce');
      await store.close();
    }
  });

  it.each([
    ['a bucket that does not exist', () => ({ bucket: 'rowseal-nowhere' }), 'StorageRefused'],
    ['an unknown access key', () => ({ credentials: { accessKeyId: 'AKNOBODY', secretAccessKey: 'x' } }), 'StorageRefused'],
    ['a wrong secret key', () => ({ credentials: { ...server.credentials, secretAccessKey: 'x' } }), 'StorageRefused'],
    ['a wrong region', () => ({ region: 'eu-west-9' }), 'StorageRefused'],
  ] as const)('says what to do about %s', async (_, changes, code) => {
    const store = createS3Store(settings(changes()));
    expect(await codeOf(store.probe(signal))).toBe(code);
    await store.close();
  });

  it('says that an endpoint is unreachable, within its deadline', async () => {
    const store = createS3Store(settings({ endpoint: `http://127.0.0.1:${await freePort()}` }));
    expect(await codeOf(store.probe(signal))).toBe('StorageUnreachable');
    await store.close();
  });
});

describe('an s3:// location', () => {
  it('takes endpoint and credentials from the environment', async () => {
    const store = openAt('by/url');
    await store.create('journal/1', Buffer.from('sealed'), options);
    const reader = openS3Reader(parseS3Location(`s3://${bucket}/by/url/`, server.environment));
    expect(reader.location).toBe(`s3://${bucket}/by/url`);
    expect(Buffer.from((await reader.read('journal/1', signal)) ?? []).toString()).toBe('sealed');
    await Promise.all([store.close(), reader.close()]);
  });

  it.each(['s3://', 's3://B', 'http://x/y', 's3:/x'])('refuses %s', (location) => {
    expect(() => parseS3Location(location, {})).toThrow(expect.objectContaining({ code: 'BadUsage' }));
  });
});

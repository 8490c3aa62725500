// Reading a log from S3, past delete markers: whoever may delete must not be able to hide anything (DESIGN §6, Write-once on S3).
import { GetObjectCommand, GetObjectRetentionCommand, ListObjectVersionsCommand, type ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import { RowsealError } from '../../model/errors.ts';
import type { LogReader, Retention, StoredKey, StoredVersion } from '../../ports/log-store.ts';
import { Bucket, type S3Settings } from './bucket.ts';
import { nameOf, statusOf } from './storage-error.ts';

export interface S3Reader extends LogReader {
  close(): Promise<void>;
}

/** A reader of the log at `s3://bucket/prefix`. No request is made before the first call. */
export function openS3Reader(settings: S3Settings): S3Reader {
  const bucket = new Bucket(settings);
  return {
    location: bucket.location,
    read: (key, signal) => readPastMarkers(bucket, key, signal),
    list: (prefix, signal) => listKeys(bucket, prefix, signal),
    versions: (prefix, signal) => listVersions(bucket, prefix, signal),
    readVersion: (key, versionId, signal) => readObject(bucket, { key, versionId }, signal),
    retention: (key, versionId, signal) => readRetention(bucket, { key, versionId }, signal),
    close: async () => bucket.close(),
  };
}

export interface VersionOf {
  readonly key: string;
  readonly versionId?: string;
}

const mutableKey = 'checkpoint';

/** A plain read; hidden by a delete marker, the oldest version, since that is what was sealed. Of `checkpoint` the newest. */
async function readPastMarkers(bucket: Bucket, key: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const plain = await readObject(bucket, { key }, signal);
  if (plain !== undefined) return plain;
  const hidden: StoredVersion[] = [];
  for await (const version of listVersions(bucket, key, signal)) {
    if (version.key !== key) break;
    if (!version.deleteMarker) hidden.push(version);
  }
  const chosen = key === mutableKey ? hidden.at(-1) : hidden[0];
  return chosen === undefined ? undefined : readObject(bucket, chosen, signal);
}

/** The bytes of one version, or of the latest; undefined when there is none or it is a delete marker. */
async function readObject(bucket: Bucket, { key, versionId }: VersionOf, signal: AbortSignal): Promise<Uint8Array | undefined> {
  return bucket.send(key, signal, async (client, abortSignal) => {
    try {
      const command = new GetObjectCommand({ Bucket: bucket.name, Key: bucket.root + key, ...(versionId ? { VersionId: versionId } : {}) });
      const { Body } = await client.send(command, { abortSignal });
      return Body === undefined ? undefined : await Body.transformToByteArray();
    } catch (error) {
      // 405 is how a delete marker answers when it is asked for by its version.
      if (absences.has(nameOf(error)) || statusOf(error) === 405) return undefined;
      throw error;
    }
  });
}

const absences = new Set(['NoSuchKey', 'NoSuchVersion', 'NotFound', 'MethodNotAllowed']);

/** Keys of any version that is no delete marker; with the size of the oldest, the sealed one. */
async function* listKeys(bucket: Bucket, prefix: string, signal: AbortSignal): AsyncGenerator<StoredKey> {
  let last: string | undefined;
  for await (const { key, sizeBytes, deleteMarker } of listVersions(bucket, prefix, signal)) {
    if (deleteMarker || key === last) continue;
    last = key;
    yield { key, sizeBytes };
  }
}

/** By key, oldest first within a key. S3 lists newest first, so the versions of one key are held back until its last. */
export async function* listVersions(bucket: Bucket, prefix: string, signal: AbortSignal): AsyncGenerator<StoredVersion> {
  let held: StoredVersion[] = [];
  for await (const version of listNewestFirst(bucket, prefix, signal)) {
    if (held[0] !== undefined && held[0].key !== version.key) {
      yield* held.reverse();
      held = [];
    }
    held.push(version);
  }
  yield* held.reverse();
}

async function* listNewestFirst(bucket: Bucket, prefix: string, signal: AbortSignal): AsyncGenerator<StoredVersion> {
  // One server repeats the marker's own version at the head of the next page.
  let previousPage = new Set<string>();
  let page: ListObjectVersionsCommandOutput | undefined;
  do {
    page = await listPage(bucket, { prefix, after: page }, signal);
    const versions = versionsOf(page, bucket);
    const names = new Set(versions.map((version) => `${version.versionId} ${version.key}`));
    if (previousPage.size > 0 && names.size > 0 && [...names].every((name) => previousPage.has(name))) {
      throw new RowsealError('StorageRefused', 'the S3 server lists the same page of versions again', { object: bucket.location });
    }
    for (const version of versions) if (!previousPage.has(`${version.versionId} ${version.key}`)) yield version;
    previousPage = names;
  } while (page.IsTruncated === true);
}

interface PageRequest {
  readonly prefix: string;
  readonly after: ListObjectVersionsCommandOutput | undefined;
}

async function listPage(bucket: Bucket, { prefix, after }: PageRequest, signal: AbortSignal): Promise<ListObjectVersionsCommandOutput> {
  return bucket.send('', signal, (client, abortSignal) =>
    client.send(
      new ListObjectVersionsCommand({
        Bucket: bucket.name,
        Prefix: bucket.root + prefix,
        ...(after?.NextKeyMarker === undefined ? {} : { KeyMarker: after.NextKeyMarker }),
        ...(after?.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: after.NextVersionIdMarker }),
      }),
      { abortSignal },
    ),
  );
}

/** The two lists of a page as one, by key, newest first; the SDK loses their common order, so times decide. */
function versionsOf(page: ListObjectVersionsCommandOutput, bucket: Bucket): StoredVersion[] {
  const entries = [
    ...(page.DeleteMarkers ?? []).map((marker) => ({ ...marker, Size: 0, deleteMarker: true })),
    ...(page.Versions ?? []).map((version) => ({ ...version, deleteMarker: false })),
  ];
  return entries
    .filter(({ Key = '' }) => Key.startsWith(bucket.root) && !(bucket.root === '' && Key.startsWith(bucket.probeRoot)))
    .map(({ Key = '', VersionId, Size, LastModified, IsLatest, deleteMarker }) => ({
      key: Key.slice(bucket.root.length),
      sizeBytes: Size ?? 0,
      versionId: VersionId ?? '',
      deleteMarker,
      latest: IsLatest ?? false,
      lastModified: LastModified?.toISOString() ?? '',
    }))
    .sort((a, b) => byBytes(a.key, b.key) || Number(b.latest) - Number(a.latest) || byBytes(b.lastModified, a.lastModified));
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The lock on one version; undefined where there is none. */
export async function readRetention(bucket: Bucket, { key, versionId }: VersionOf, signal: AbortSignal): Promise<Retention | undefined> {
  return bucket.send(key, signal, async (client, abortSignal) => {
    try {
      const command = new GetObjectRetentionCommand({ Bucket: bucket.name, Key: bucket.root + key, ...(versionId ? { VersionId: versionId } : {}) });
      const { Retention: lock } = await client.send(command, { abortSignal });
      if (lock?.Mode === undefined || lock.RetainUntilDate === undefined) return undefined;
      return { mode: lock.Mode === 'COMPLIANCE' ? 'Compliance' : 'Governance', retainUntil: lock.RetainUntilDate };
    } catch (error) {
      if (nameOf(error) === 'NoSuchObjectLockConfiguration' || absences.has(nameOf(error))) return undefined;
      throw error;
    }
  });
}

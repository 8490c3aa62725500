// Proof, at start, that a bucket really is write-once: nothing is believed that was not tried (DESIGN §6, Write-once on S3).
import { randomBytes } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { RowsealError } from '../../model/errors.ts';
import type { Bucket } from './bucket.ts';
import { nameOf, statusOf } from './storage-error.ts';

export interface ProbeSettings {
  readonly bucket: Bucket;
  readonly mode: 'COMPLIANCE' | 'GOVERNANCE';
}

const racers = 8;
const lockMs = 60 * 60_000;

/**
 * Leaves one object of 16 bytes, locked for an hour, beside the log's root. Throws StorageNotWriteOnce naming what does not
 * hold, StorageRefused and StorageUnreachable when the bucket cannot be asked.
 */
export async function probeBucket({ bucket, mode }: ProbeSettings, signal: AbortSignal): Promise<void> {
  await bucket.send('', signal, (client, abortSignal) => hasVersioning(client, bucket, abortSignal));
  await bucket.send('', signal, (client, abortSignal) => hasObjectLock(client, bucket, abortSignal));
  const key = `${bucket.probeRoot}${randomBytes(12).toString('hex')}`;
  const lock = { ObjectLockMode: mode, ObjectLockRetainUntilDate: new Date(Date.now() + lockMs) };
  const probe: Probe = { bucket, key, lock };
  const versionId = await bucket.send('', signal, (client, abortSignal) => hasOneWinner(client, probe, abortSignal));
  await bucket.send('', signal, (client, abortSignal) => refusesDelete(client, { ...probe, versionId }, abortSignal));
  await bucket.send('', signal, (client, abortSignal) => refusesShortening(client, { ...probe, versionId }, abortSignal));
}

interface Probe {
  readonly bucket: Bucket;
  readonly key: string;
  readonly lock: { readonly ObjectLockMode: 'COMPLIANCE' | 'GOVERNANCE'; readonly ObjectLockRetainUntilDate: Date };
}

type StoredProbe = Probe & { readonly versionId: string };

async function hasVersioning(client: S3Client, bucket: Bucket, abortSignal: AbortSignal): Promise<void> {
  const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: bucket.name }), { abortSignal });
  if (Status !== 'Enabled') throw notWriteOnce(bucket, 'the bucket keeps no versions', withObjectLock);
}

async function hasObjectLock(client: S3Client, bucket: Bucket, abortSignal: AbortSignal): Promise<void> {
  try {
    const { ObjectLockConfiguration } = await client.send(new GetObjectLockConfigurationCommand({ Bucket: bucket.name }), { abortSignal });
    if (ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled') return;
  } catch (error) {
    if (nameOf(error) !== 'ObjectLockConfigurationNotFoundError') throw error;
  }
  throw notWriteOnce(bucket, 'the bucket has no Object Lock', withObjectLock);
}

/** If we die here or later, the object stays until its hour is over; nothing reads it again. */
async function hasOneWinner(client: S3Client, { bucket, key, lock }: Probe, abortSignal: AbortSignal): Promise<string> {
  const results = await Promise.allSettled(
    Array.from({ length: racers }, (_, index) =>
      client.send(
        new PutObjectCommand({
          Bucket: bucket.name,
          Key: key,
          Body: Buffer.from(`rowseal probe ${index}\n`),
          IfNoneMatch: '*',
          ChecksumAlgorithm: 'SHA256',
          ...lock,
        }),
        { abortSignal },
      ),
    ),
  );
  const winners = results.filter((result) => result.status === 'fulfilled');
  const losers = results.filter((result) => result.status === 'rejected').map((result): unknown => result.reason);
  const broken = losers.find((reason) => statusOf(reason) !== 412 && nameOf(reason) !== 'ConditionalRequestConflict');
  if (broken !== undefined) throw broken;
  if (winners.length !== 1) throw notWriteOnce(bucket, `${winners.length} of ${racers} conditional creates of one key succeeded`, otherServer);
  const { VersionId } = await client.send(new GetObjectCommand({ Bucket: bucket.name, Key: key, Range: 'bytes=0-0' }), { abortSignal });
  if (VersionId === undefined) throw notWriteOnce(bucket, 'the server gives objects no version', otherServer);
  return VersionId;
}

async function refusesDelete(client: S3Client, { bucket, key, versionId }: StoredProbe, abortSignal: AbortSignal): Promise<void> {
  const command = new DeleteObjectCommand({ Bucket: bucket.name, Key: key, VersionId: versionId });
  if (!(await isRefused(() => client.send(command, { abortSignal })))) throw notWriteOnce(bucket, 'a locked object could be deleted', otherServer);
}

/** Extending first tells a lock that holds from credentials that may set no lock at all. */
async function refusesShortening(client: S3Client, { bucket, key, versionId, lock }: StoredProbe, abortSignal: AbortSignal): Promise<void> {
  const retainFor = (ms: number) =>
    client.send(
      new PutObjectRetentionCommand({
        Bucket: bucket.name,
        Key: key,
        VersionId: versionId,
        Retention: { Mode: lock.ObjectLockMode, RetainUntilDate: new Date(lock.ObjectLockRetainUntilDate.getTime() + ms) },
      }),
      { abortSignal },
    );
  await retainFor(1_000);
  if (!(await isRefused(() => retainFor(-lockMs / 2)))) throw notWriteOnce(bucket, 'the lock of an object could be shortened', otherServer);
}

async function isRefused(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return false;
  } catch (error) {
    const status = statusOf(error);
    // One server denies with 400 where the others say 403.
    if (status === 403 || status === 400) return true;
    throw error;
  }
}

const withObjectLock = 'create a bucket with Object Lock enabled (aws s3api create-bucket --object-lock-enabled-for-bucket) and name it in storage.s3.bucket';
const otherServer = 'use a server whose Object Lock and conditional writes work, or storage.filesystem';

function notWriteOnce(bucket: Bucket, message: string, next: string): RowsealError {
  return new RowsealError('StorageNotWriteOnce', message, { object: bucket.location, next });
}

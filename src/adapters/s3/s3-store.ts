// A log's write-once home on S3: conditional creates, and an explicit lock and checksum on every one (DESIGN §6).
import { setTimeout as delay } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { GetObjectCommand, PutObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { RowsealError } from '../../model/errors.ts';
import type { CreateOptions, LogStore } from '../../ports/log-store.ts';
import { Bucket, type S3Settings } from './bucket.ts';
import { probeBucket } from './probe.ts';
import { listVersions, openS3Reader, readRetention } from './s3-reader.ts';
import { nameOf, statusOf } from './storage-error.ts';

export interface S3StoreSettings extends S3Settings {
  /** Mode of the lock on every write-once object. */
  readonly objectLock: 'Compliance' | 'Governance';
}

const maxTries = 5;
const firstPauseMs = 50;

/** The store; nothing is written before the first call, and `probe` must come first. */
export function createS3Store(settings: S3StoreSettings): LogStore {
  const bucket = new Bucket(settings);
  const reader = openS3Reader(settings);
  const mode = settings.objectLock === 'Compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
  return {
    ...reader,
    create: (key, bytes, options) => create({ bucket, mode, key, bytes }, options),
    replaceCheckpoint: (bytes, expected, signal) => replaceCheckpoint(bucket, { bytes, expected }, signal),
    extendRetention: (key, retainUntil, signal) => extendRetention(bucket, { key, retainUntil, mode }, signal),
    probe: (signal) => probeBucket({ bucket, mode }, signal),
    close: async () => {
      await reader.close();
      bucket.close();
    },
  };
}

type Mode = 'COMPLIANCE' | 'GOVERNANCE';

interface NewObject {
  readonly bucket: Bucket;
  readonly mode: Mode;
  readonly key: string;
  readonly bytes: Uint8Array;
}

/**
 * If we die here, the object is there whole or not at all, and the writer's restart finds out by the same create.
 * A repeated PUT whose first response was lost finds its own object, which is `exists`.
 */
async function create({ bucket, mode, key, bytes }: NewObject, { retainUntil, signal }: CreateOptions): Promise<'created' | 'exists'> {
  const command = new PutObjectCommand({
    Bucket: bucket.name,
    Key: bucket.root + key,
    Body: bytes,
    ContentLength: bytes.length,
    IfNoneMatch: '*',
    ChecksumSHA256: createHash('sha256').update(bytes).digest('base64'),
    ObjectLockMode: mode,
    ObjectLockRetainUntilDate: retainUntil,
  });
  return retried(signal, () =>
    bucket.send(key, signal, async (client, abortSignal) => {
      try {
        await client.send(command, { abortSignal });
        return 'created';
      } catch (error) {
        if (statusOf(error) === 412) return 'exists';
        throw error;
      }
    }),
  );
}

/** Repeats what may pass: no answer, 5xx, throttling, and 409 when two conditional writes met. */
async function retried<T>(signal: AbortSignal, action: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      const passing = error instanceof RowsealError && (error.retryable || nameOf(error.cause) === 'ConditionalRequestConflict');
      if (!passing || attempt === maxTries) throw error;
      await delay(Math.random() * firstPauseMs * 2 ** attempt, undefined, { signal });
    }
  }
}

interface Replacement {
  readonly bytes: Uint8Array;
  readonly expected: Uint8Array | undefined;
}

/** If we die here, `checkpoint` is the old or the new one whole; the restart compares it with checkpoints/ and replaces it again. */
async function replaceCheckpoint(bucket: Bucket, { bytes, expected }: Replacement, signal: AbortSignal): Promise<boolean> {
  return retried(signal, async () => {
    const current = await currentCheckpoint(bucket, signal);
    if (current !== undefined && sameBytes(current.bytes, bytes)) return true;
    if (expected === undefined ? current !== undefined : current === undefined || !sameBytes(current.bytes, expected)) return false;
    if (await putCheckpoint(bucket, { bytes, etag: current?.etag }, signal)) return true;
    // The SDK repeats a PUT whose response was lost, and is then refused because of its own first one.
    const winner = await currentCheckpoint(bucket, signal);
    return winner !== undefined && sameBytes(winner.bytes, bytes);
  });
}

interface CheckpointPut {
  readonly bytes: Uint8Array;
  /** Of the checkpoint that it replaces; undefined where there must be none. */
  readonly etag: string | undefined;
}

async function putCheckpoint(bucket: Bucket, { bytes, etag }: CheckpointPut, signal: AbortSignal): Promise<boolean> {
  const condition = etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: etag };
  const command = new PutObjectCommand({ Bucket: bucket.name, Key: `${bucket.root}checkpoint`, Body: bytes, ContentLength: bytes.length, ...condition });
  return bucket.send('checkpoint', signal, async (client, abortSignal) => {
    try {
      await client.send(command, { abortSignal });
      return true;
    } catch (error) {
      if (statusOf(error) === 412 || nameOf(error) === 'NoSuchKey') return false;
      throw error;
    }
  });
}

async function currentCheckpoint(bucket: Bucket, signal: AbortSignal): Promise<{ bytes: Uint8Array; etag: string } | undefined> {
  return bucket.send('checkpoint', signal, async (client, abortSignal) => {
    try {
      const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket: bucket.name, Key: `${bucket.root}checkpoint` }), { abortSignal });
      return Body === undefined || ETag === undefined ? undefined : { bytes: await Body.transformToByteArray(), etag: ETag };
    } catch (error) {
      if (nameOf(error) === 'NoSuchKey') return undefined;
      throw error;
    }
  });
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

interface Extension {
  readonly key: string;
  readonly retainUntil: Date;
  readonly mode: Mode;
}

/** If we die here, some versions are extended and some not; the writer's daily round extends the rest. */
async function extendRetention(bucket: Bucket, { key, retainUntil, mode }: Extension, signal: AbortSignal): Promise<void> {
  for await (const version of listVersions(bucket, key, signal)) {
    if (version.key !== key || version.deleteMarker) continue;
    const held = await readRetention(bucket, version, signal);
    if (held !== undefined && held.retainUntil >= retainUntil) continue;
    await bucket.send(key, signal, (client, abortSignal) =>
      client.send(
        new PutObjectRetentionCommand({
          Bucket: bucket.name,
          Key: bucket.root + key,
          ...(version.versionId === '' ? {} : { VersionId: version.versionId }),
          // A lock in Compliance stays in Compliance, whatever the settings say now.
          Retention: { Mode: held?.mode === 'Compliance' ? 'COMPLIANCE' : mode, RetainUntilDate: retainUntil },
        }),
        { abortSignal },
      ),
    );
  }
}

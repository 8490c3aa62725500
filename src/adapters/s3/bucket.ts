// One folder of one bucket, and every request to it under a deadline.
import { S3Client } from '@aws-sdk/client-s3';
import { storageError } from './storage-error.ts';

export interface S3Settings {
  /** URL of an S3-compatible server; AWS when left out. */
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  /** Folder of the log, without slashes around it; the whole bucket when left out. */
  readonly prefix?: string;
  readonly forcePathStyle: boolean;
  /** The SDK's default chain where absent. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
}

/** A request of the SDK: given the client and a signal, its answer. */
export type Request<T> = (client: S3Client, abortSignal: AbortSignal) => Promise<T>;

const connectionTimeoutMs = 5_000;
const requestTimeoutMs = 30_000;
/** Of one request with the SDK's own retries; the largest object is a journal batch of some megabytes. */
const deadlineMs = 60_000;
const maxAttempts = 3;

export class Bucket {
  readonly name: string;
  /** `s3://bucket/prefix`. */
  readonly location: string;
  /** What stands before every key of the log: empty, or the prefix with a slash. */
  readonly root: string;
  /** Where the probe writes: beside the log's root, or, for a log that is the whole bucket, in a folder its listings leave out. */
  readonly probeRoot: string;
  readonly #client: S3Client;

  constructor({ endpoint, region, bucket, prefix = '', forcePathStyle, credentials }: S3Settings) {
    this.name = bucket;
    this.location = prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
    this.root = prefix === '' ? '' : `${prefix}/`;
    this.probeRoot = prefix === '' ? 'rowseal-probe/' : `${prefix}-probe/`;
    this.#client = new S3Client({
      region,
      forcePathStyle,
      maxAttempts,
      // Some compatible servers know no CRC checksums; what must be checked carries SHA-256 explicitly.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: connectionTimeoutMs, requestTimeout: requestTimeoutMs },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    });
  }

  /** Throws the signal's reason when it is aborted, and StorageUnreachable or StorageRefused naming `key` otherwise. */
  async send<T>(key: string, signal: AbortSignal, request: Request<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      return await request(this.#client, AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]));
    } catch (cause) {
      signal.throwIfAborted();
      throw storageError(cause, { bucket: this.name, object: key === '' ? this.location : `${this.location}/${key}` });
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

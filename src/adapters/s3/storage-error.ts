// What an S3 server's refusal means to a person, and whether asking again may help.
import { RowsealError } from '../../model/errors.ts';

interface Answer {
  readonly name?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

export interface Place {
  readonly bucket: string;
  /** The URL of the object or of the log. */
  readonly object: string;
}

/** StorageRefused where somebody must change something, StorageUnreachable (retryable) for everything that may pass. */
export function storageError(cause: unknown, { bucket, object }: Place): RowsealError {
  if (cause instanceof RowsealError) return cause;
  const { name = '', message = '' } = cause as Answer;
  const status = statusOf(cause);
  const refused = (text: string, next: string) => new RowsealError('StorageRefused', text, { object, next, cause });
  if (name === 'NoSuchBucket') return refused(`the bucket ${bucket} does not exist`, 'create it with Object Lock, or correct bucket and endpoint');
  if (credentialFaults.has(name)) return refused(`the S3 server does not accept the credentials (${name})`, 'check access key, secret key and endpoint');
  if (regionFaults.has(name) || status === 301) return refused('the bucket is in another region', 'set the region of the bucket');
  if (name === 'RequestTimeTooSkewed') return refused("this machine's clock differs too much from the server's", 'synchronise the clock');
  if (status !== undefined && status < 500 && status !== 408 && status !== 429) {
    if (status === 403) return refused('the S3 server denied access', `allow this on the bucket: ${permissions}`);
    return refused(`the S3 server refused: ${name}: ${message}`, 'check bucket, prefix and the permissions of the credentials');
  }
  return new RowsealError('StorageUnreachable', `the S3 server gives no answer that helps: ${message === '' ? name : message}`, {
    object,
    next: 'check endpoint, network and the state of the server',
    retryable: true,
    cause,
  });
}

const permissions =
  's3:GetObject, s3:GetObjectVersion, s3:PutObject, s3:PutObjectRetention, s3:GetObjectRetention, s3:ListBucket, s3:ListBucketVersions, s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration';

/** The HTTP status of an SDK error; undefined when no response came. */
export function statusOf(cause: unknown): number | undefined {
  return (cause as Answer | undefined)?.$metadata?.httpStatusCode;
}

export function nameOf(cause: unknown): string {
  return (cause as Answer | undefined)?.name ?? '';
}

const credentialFaults = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'CredentialsProviderError',
  'XAdminUserNotFound',
]);

const regionFaults = new Set(['AuthorizationHeaderMalformed', 'PermanentRedirect', 'IllegalLocationConstraintException']);

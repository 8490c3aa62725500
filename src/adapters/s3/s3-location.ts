// `s3://bucket/prefix` on the command line, with the rest from the AWS SDK's environment.
import { RowsealError } from '../../model/errors.ts';
import type { S3Settings } from './bucket.ts';

/** Throws BadUsage for anything that is no `s3://bucket[/prefix]`. Credentials are found by the SDK itself. */
export function parseS3Location(location: string, env: Readonly<Record<string, string | undefined>>): S3Settings {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(location);
  if (!match) throw new RowsealError('BadUsage', `not an S3 location: ${location}`, { next: 'write s3://bucket or s3://bucket/prefix' });
  const [, bucket = '', path = ''] = match;
  const prefix = path.replace(/\/+$/, '');
  const endpoint = env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'];
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = env['AWS_SESSION_TOKEN'];
  return {
    bucket,
    region: env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
    // A server of one's own rarely has a name for each bucket.
    forcePathStyle: endpoint !== undefined,
    ...(prefix === '' ? {} : { prefix }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }),
  };
}

// A real S3 server with Object Lock for tests: Versity Gateway on loopback, on fresh folders.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { goBinary } from './go-binaries.ts';
import { freePort } from './postgres.ts';

interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Server {
  readonly endpoint: string;
  readonly region: string;
  /** Of the server's root user, who owns every bucket. */
  readonly credentials: S3Credentials;
  readonly pid: number;
  /** What the AWS SDK and `rowseal` take from the environment to reach this server. */
  readonly environment: Readonly<Record<string, string>>;
  /** A client with the root user's rights, for what tests do behind Rowseal's back. Closed with the server. */
  readonly client: S3Client;
  /** Creates a bucket and returns its name. `Locked` has Object Lock, `Versioned` only versions, `Plain` neither. */
  createBucket(kind: 'Locked' | 'Versioned' | 'Plain'): Promise<string>;
  /** Ends the server at once, as a power cut would, and starts it again on the same data and port. */
  crashAndRestart(): Promise<void>;
  stop(): Promise<void>;
}

const startDeadlineMs = 15_000;

export async function startS3(): Promise<S3Server> {
  const binary = await goBinary('versitygw');
  const root = mkdtempSync(join(tmpdir(), 'rowseal-s3-'));
  for (const folder of ['data', 'versions']) mkdirSync(join(root, folder));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const region = 'us-east-1';
  const credentials = { accessKeyId: `AK${randomBytes(9).toString('hex').toUpperCase()}`, secretAccessKey: randomBytes(20).toString('hex') };
  let child = await launch({ binary, root, port, credentials });
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });

  const onExit = () => child.kill('SIGKILL');
  process.once('exit', onExit);
  return {
    endpoint,
    region,
    credentials,
    client,
    get pid() {
      return child.pid ?? 0;
    },
    environment: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    createBucket: (kind) => createBucket(client, kind),
    crashAndRestart: async () => {
      await ended(child);
      child = await launch({ binary, root, port, credentials });
    },
    stop: async () => {
      process.removeListener('exit', onExit);
      client.destroy();
      await ended(child);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function createBucket(client: S3Client, kind: 'Locked' | 'Versioned' | 'Plain'): Promise<string> {
  const Bucket = `rowseal-${kind.toLowerCase()}-${randomBytes(5).toString('hex')}`;
  await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: kind === 'Locked' }));
  if (kind === 'Versioned') {
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  }
  return Bucket;
}

interface Launch {
  readonly binary: string;
  readonly root: string;
  readonly port: number;
  readonly credentials: S3Credentials;
}

async function launch({ binary, root, port, credentials }: Launch): Promise<ChildProcess> {
  const child = spawn(
    binary,
    ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', 'posix', '--versioning-dir', join(root, 'versions'), join(root, 'data')],
    {
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    },
  );
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-10_000)));
  const deadline = Date.now() + startDeadlineMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`versitygw ended with ${child.exitCode}: ${log}`);
    if (Date.now() > deadline) throw new Error(`versitygw did not start: ${log}`);
    await sleep(20);
  }
  return child;
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    await response.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await exit;
}

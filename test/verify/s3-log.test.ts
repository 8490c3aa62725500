// Verification of a log on real S3: overwriting shows as shadowing, deleting as a marker, and neither hides anything.
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openS3Reader } from '../../src/adapters/s3/s3-reader.ts';
import { createS3Store } from '../../src/adapters/s3/s3-store.ts';
import type { Verdict } from '../../src/verify/verdict.ts';
import { verifyLog } from '../../src/verify/verify-log.ts';
import { type S3Server, startS3 } from '../parts/s3.ts';
import { fillStore, hastyClock, sampleKey } from './sample-log.ts';

const { signal } = new AbortController();
let server: S3Server;
let bucket: string;
let logs = 0;

beforeAll(async () => {
  server = await startS3();
  bucket = await server.createBucket('Locked');
});
afterAll(async () => server.stop());

async function newLog(): Promise<{ readonly prefix: string; readonly judge: () => Promise<Verdict> }> {
  const prefix = `logs/${(logs += 1)}`;
  const { endpoint, region, credentials } = server;
  const settings = { endpoint, region, credentials, bucket, prefix, forcePathStyle: true };
  await fillStore(async () => createS3Store({ ...settings, objectLock: 'Compliance' }), { publications: [[3, 4], [300]], blobEvery: 100 });
  const reader = openS3Reader(settings);
  return { prefix, judge: async () => verifyLog(reader, { verifierKey: sampleKey.verifier, clock: hastyClock }, signal) };
}

async function keysOf(prefix: string): Promise<string[]> {
  const { Contents = [] } = await server.client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/` }));
  return Contents.map(({ Key = '' }) => Key.slice(prefix.length + 1));
}

describe('a log on S3', () => {
  it('is sound', async () => {
    expect(await (await newLog()).judge()).toMatchObject({ status: 'Sound', treeSize: 307, findings: [] });
  });

  it('shows every overwritten object as shadowed, and is otherwise verified from what was sealed', async () => {
    const { prefix, judge } = await newLog();
    const keys = (await keysOf(prefix)).filter((key) => key !== 'checkpoint');
    for (const key of keys) await server.client.send(new PutObjectCommand({ Bucket: bucket, Key: `${prefix}/${key}`, Body: 'forged' }));
    const verdict = await judge();
    expect(verdict.status).toBe('Tampered');
    expect(verdict.findings.map(({ code, file }) => `${code} ${file}`).sort()).toEqual(keys.map((key) => `Shadowed ${key}`).sort());
  });

  it('shows every deleted object by its marker, and still has it', async () => {
    const { prefix, judge } = await newLog();
    const keys = (await keysOf(prefix)).filter((key) => key !== 'checkpoint');
    for (const key of keys) await server.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${prefix}/${key}` }));
    const verdict = await judge();
    expect(verdict.findings.map(({ code, file }) => `${code} ${file}`).sort()).toEqual(keys.map((key) => `DeleteMarker ${key}`).sort());
    expect(verdict).toMatchObject({ status: 'Tampered', treeSize: 307 });
  });

  it('is not accused for the versions of its checkpoint, the only mutable object', async () => {
    const { prefix, judge } = await newLog();
    await server.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${prefix}/checkpoint` }));
    expect(await judge()).toMatchObject({ status: 'Sound' });
  });
});

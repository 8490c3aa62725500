// The same way through a real API server, with the operator's own rights, into a real S3 server with Object Lock.
import { writeFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ControlPlane, startControlPlane } from '../parts/control-plane.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type S3Server, startS3 } from '../parts/s3.ts';
import { asTenant, createShop, shop, withClient } from '../parts/shop.ts';
import { eventually, repository, type RunningRowseal, rowseal, startRowseal } from '../parts/standalone.ts';

let postgres: Postgres;
let controlPlane: ControlPlane;
let s3: S3Server;
let bucket: string;
let operator: RunningRowseal;
let folder: string;

beforeAll(async () => {
  [postgres, controlPlane, s3] = await Promise.all([startPostgres(), startControlPlane(), startS3()]);
  folder = mkdtempSync(join(tmpdir(), 'rowseal-operator-'));
  await createShop(postgres);
  await controlPlane.installCrds();
  await kubectl(['apply', '-f', join(repository, 'deploy', 'rbac.yaml'), '-f', join(repository, 'deploy', 'admission', 'approval.yaml')]);
  bucket = await s3.createBucket('Locked');
  operator = startRowseal(['operator', '--kubeconfig', await operatorKubeconfig()]);
});

afterAll(async () => {
  await operator?.stop();
  await Promise.all([postgres?.stop(), controlPlane?.stop(), s3?.stop()]);
  if (folder) rmSync(folder, { recursive: true, force: true });
});

async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const result = await controlPlane.kubectl(args, input);
  if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

async function apply(...objects: object[]): Promise<void> {
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

/** The operator runs with the service account of deploy/rbac.yaml, so that its rights are tested too. */
async function operatorKubeconfig(): Promise<string> {
  const token = (await kubectl(['create', 'token', 'rowseal', '-n', 'rowseal-system'])).trim();
  const config = JSON.parse(readFileSync(controlPlane.kubeconfig, 'utf8')) as { users: unknown };
  const file = join(folder, 'kubeconfig');
  writeFileSync(file, JSON.stringify({ ...config, users: [{ name: 'test', user: { token } }] }), { mode: 0o600 });
  return file;
}

function s3Storage() {
  return { s3: { endpoint: s3.endpoint, region: s3.region, bucket, prefix: 'shop', forcePathStyle: true, objectLock: 'Compliance', credentialsSecretRef: { name: 's3' } } };
}

async function condition(kind: string, name: string): Promise<{ status: string; reason: string; message: string }> {
  const text = await kubectl(['get', kind, name, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")]}']);
  return JSON.parse(text || '{}') as { status: string; reason: string; message: string };
}

describe('kubectl apply', () => {
  test('reaches Ready, and kubectl wait sees it', async () => {
    await apply(
      shop.secret(postgres),
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's3' }, stringData: { AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey } },
      shop.connection(),
      shop.policy(),
      shop.log(s3Storage()),
      shop.audit(),
    );
    for (const [kind, name] of [['dbc', 'shop'], ['rowpol', 'orders'], ['alog', 'shop'], ['audpol', 'orders']] as const) {
      await kubectl(['wait', '--for=condition=Ready', kind, name, '--timeout=60s']).catch(async (error: Error) => {
        throw new Error(`${error.message}\n${JSON.stringify(await condition(kind, name))}\n${operator.messages().slice(-3000)}`);
      });
    }
    expect(await kubectl(['get', 'rowpol', 'orders'])).toMatch(/READY\s+REASON/);
  });

  test('enforces, and editing the manifest changes what is enforced', async () => {
    expect((await asTenant(postgres, 'acme', (client) => client.query('select id from orders'))).rows).toEqual([{ id: '1' }]);
    await apply(shop.policy({ rules: [{ name: 'nobody', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', value: 'no such tenant' }] } }] }));
    await eventually('the edit is in force', async () => {
      expect((await asTenant(postgres, 'acme', (client) => client.query('select id from orders'))).rows).toEqual([]);
    });
    await apply(shop.policy());
    await eventually('the way back widens, so that it waits', async () => {
      expect((await condition('rowpol', 'orders')).reason).toBe('ApprovalRequired');
      expect(await kubectl(['get', 'rowpol', 'orders', '-o', 'jsonpath={.status.plan.steps[*].why}'])).toContain('rule tenant');
    });
    const digest = await kubectl(['get', 'rowpol', 'orders', '-o', 'jsonpath={.status.plan.digest}']);
    const approver = await kubectl(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}']);
    await kubectl(['annotate', 'rowpol', 'orders', `rowseal.dev/approve=${digest}`, `rowseal.dev/approved-by=${approver}`]);
    await eventually('the edit is back', async () => {
      expect((await asTenant(postgres, 'acme', (client) => client.query('select id from orders'))).rows).toEqual([{ id: '1' }]);
    });
    await kubectl(['wait', '--for=condition=Ready', 'rowpol', 'orders', '--timeout=30s']);
  });

  test.each(['drop policy', 'disable row security'])('mends an out-of-band change: %s', async (what) => {
    await withClient(postgres.uri(), async (client) => {
      const { rows } = await client.query<{ name: string }>("select policyname as name from pg_policies where tablename = 'orders'");
      await client.query(what === 'drop policy' ? `drop policy "${rows[0]?.name ?? ''}" on public.orders` : 'alter table public.orders disable row level security');
    });
    await eventually('mended', async () => {
      const seen = await asTenant(postgres, 'acme', (client) => client.query('select id from orders'));
      expect(seen.rows).toEqual([{ id: '1' }]);
    });
    await eventually('an Event says it', async () => expect(await kubectl(['get', 'events.events.k8s.io', '-o', 'jsonpath={.items[*].reason}'])).toContain('DriftDetected'));
  });

  test('in steady state nothing is written', async () => {
    await kubectl(['wait', '--for=condition=Ready', 'rowpol', 'orders', '--timeout=30s']);
    const version = () => kubectl(['get', 'rowpol', 'orders', '-o', 'jsonpath={.metadata.resourceVersion}']);
    const before = await version();
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    expect(await version()).toBe(before);
  });
});

describe('the log on S3', () => {
  test('verifies, and holds what was done', async () => {
    await asTenant(postgres, 'acme', (client) => client.query("insert into orders values (20, 'acme', 'lamp', 1)"));
    await eventually('published', async () => {
      const { stdout } = await rowseal(['log', `s3://${bucket}/shop`, '-o', 'jsonl'], s3.environment);
      expect(stdout).toContain('"id":"20"');
    });
    await eventually('sound', async () => {
      const verdict = await rowseal(['verify', `s3://${bucket}/shop`, '--key', await verifierKey()], s3.environment);
      expect(verdict.status, verdict.stdout + verdict.stderr).toBe(0);
    });
  });

  test('cannot be deleted or shortened with the writer’s own credentials, and an overwrite shows', async () => {
    const { Versions = [] } = await s3.client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'shop/' }));
    const sealed = Versions.filter(({ Key }) => Key !== 'shop/checkpoint');
    expect(sealed.length).toBeGreaterThan(5);
    for (const { Key, VersionId } of sealed) {
      await expect(s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }))).rejects.toBeDefined();
      const soon = new Date(Date.now() + 60_000);
      await expect(
        s3.client.send(new PutObjectRetentionCommand({ Bucket: bucket, Key, VersionId, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: soon } })),
      ).rejects.toBeDefined();
    }
    const victim = sealed.find(({ Key }) => Key?.startsWith('shop/digests/'))?.Key ?? '';
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: victim, Body: 'shadow' }));
    const verdict = await rowseal(['verify', `s3://${bucket}/shop`, '--key', await verifierKey(), '-o', 'json'], s3.environment);
    expect(verdict.status).toBe(1);
    expect(verdict.stdout).toContain(victim.replace('shop/', ''));
  });

  async function verifierKey(): Promise<string> {
    return kubectl(['get', 'alog', 'shop', '-o', 'jsonpath={.status.verifierKey}']);
  }
});

describe('deleting', () => {
  test('a connection waits for its dependants, and names them', async () => {
    await kubectl(['delete', 'dbc', 'shop', '--wait=false']);
    await eventually('the condition names them', async () => expect((await condition('dbc', 'shop')).message).toMatch(/orders/));
  });

  test('FailClosed leaves nothing visible, and then everything goes', async () => {
    await apply(shop.policy({ deletionPolicy: 'FailClosed' }));
    await eventually('the finalizer is there', async () => expect(await kubectl(['get', 'rowpol', 'orders', '-o', 'jsonpath={.metadata.finalizers}'])).toContain('rowseal'));
    await kubectl(['delete', 'rowpol', 'orders', '--timeout=60s']);
    expect((await asTenant(postgres, 'acme', (client) => client.query('select id from orders'))).rows).toEqual([]);
    await kubectl(['delete', 'audpol', 'orders', '--timeout=60s']);
    await eventually('the connection is gone', async () => expect((await controlPlane.kubectl(['get', 'dbc', 'shop'])).status).not.toBe(0));
  });
});

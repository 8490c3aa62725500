// The whole way without Kubernetes: manifests in a folder → enforced rows → sealed changes → a verdict.
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { asTenant, createShop, shop, withClient } from '../parts/shop.ts';
import { createWorkspace, eventually, type RunningRowseal, rowseal, startRowseal, type Workspace } from '../parts/standalone.ts';

let postgres: Postgres;
let workspace: Workspace;
let running: RunningRowseal;

beforeAll(async () => {
  postgres = await startPostgres();
  await createShop(postgres);
  workspace = createWorkspace();
  workspace.declare('secret.yaml', [shop.secret(postgres)]);
  workspace.declare('shop.yaml', [shop.connection(), shop.policy(), shop.log({ filesystem: { path: workspace.log } }), shop.audit()]);
  running = startRowseal(['run', '--manifests', workspace.manifests]);
  await workspace.ready('RowPolicy', 'orders');
  await workspace.ready('AuditPolicy', 'orders');
});

afterAll(async () => {
  await running?.stop();
  await postgres?.stop();
  workspace?.remove();
});

interface LoggedEntry {
  readonly type: string;
  readonly actor?: Record<string, unknown>;
  readonly object: { readonly table?: string; readonly key?: Record<string, string> };
  readonly change?: { readonly before?: Record<string, string | null>; readonly after?: Record<string, string | null> };
  readonly policy?: { readonly digest: string | null; readonly evidence: string };
}

async function entries(): Promise<LoggedEntry[]> {
  const { stdout } = await rowseal(['log', workspace.log, '-o', 'jsonl']);
  return stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as LoggedEntry);
}

async function verifierKey(): Promise<string> {
  const file = join(workspace.folder, 'verifier.key');
  writeFileSync(file, `${String(workspace.status('AuditLog', 'shop')?.status['verifierKey'])}\n`);
  return file;
}

describe('policy', () => {
  test('each tenant sees its own rows and cannot write another one’s', async () => {
    const seen = await asTenant(postgres, 'acme', (client) => client.query('select id from orders'));
    expect(seen.rows).toEqual([{ id: '1' }]);
    await expect(asTenant(postgres, 'acme', (client) => client.query("insert into orders values (9, 'globex', 'x')"))).rejects.toMatchObject({ code: '42501' });
  });

  test.each([
    ['a dropped policy', async () => withClient(postgres.uri(), async (client) => {
      const { rows } = await client.query<{ name: string }>("select policyname as name from pg_policies where tablename = 'orders'");
      await client.query(`drop policy "${rows[0]?.name ?? ''}" on public.orders`);
    })],
    ['an altered policy', async () => withClient(postgres.uri(), async (client) => {
      const { rows } = await client.query<{ name: string }>("select policyname as name from pg_policies where tablename = 'orders'");
      await client.query(`alter policy "${rows[0]?.name ?? ''}" on public.orders using (true) with check (true)`);
    })],
    ['disabled row security', async () => withClient(postgres.uri(), (client) => client.query('alter table public.orders disable row level security'))],
    ['row security no longer forced', async () => withClient(postgres.uri(), (client) => client.query('alter table public.orders no force row level security'))],
  ])('%s is mended', async (_what, harm) => {
    await harm();
    await eventually('mended', async () => {
      const { rows } = await withClient(postgres.uri(), (client) =>
        client.query("select relrowsecurity, relforcerowsecurity, (select count(*)::int from pg_policies where tablename = 'orders') as policies from pg_class where oid = 'public.orders'::regclass"),
      );
      expect(rows).toEqual([{ relrowsecurity: true, relforcerowsecurity: true, policies: 1 }]);
      const seen = await asTenant(postgres, 'acme', (client) => client.query("select 1 from orders where tenant_id <> 'acme'"));
      expect(seen.rows).toEqual([]);
    });
  });
});

describe('a plan that widens', () => {
  const everything = () => asTenant(postgres, 'acme', async (client) => (await client.query("select 1 from orders where tenant_id <> 'acme'")).rows.length);

  test('waits until `rowseal approve` names exactly it, is shown by `rowseal plan` under the same digest, and then applies', async () => {
    const rules = [...shop.policy().spec.rules, { name: 'all', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'id', op: 'Gt', value: '0' }] } }];
    workspace.declare('shop.yaml', [shop.connection(), shop.policy({ rules }), shop.log({ filesystem: { path: workspace.log } }), shop.audit()]);
    await workspace.ready('RowPolicy', 'orders', 'False', 'ApprovalRequired');
    const digest = (workspace.status('RowPolicy', 'orders')?.status['plan'] as { digest: string } | undefined)?.digest ?? '';
    const planned = await rowseal(['plan', workspace.manifests, '-o', 'json']);
    expect((JSON.parse(planned.stdout) as { digest: string }[]).map((plan) => plan.digest)).toEqual([digest]);
    const shown = await rowseal(['approve', 'orders', '--manifests', workspace.manifests]);
    expect(shown.stdout).toContain('WIDENING: rule all');
    expect((await rowseal(['approve', 'orders', '--manifests', workspace.manifests, '--digest', 'sha256:other'])).status).toBe(3);
    expect(await everything()).toBe(0);
    expect((await rowseal(['approve', 'orders', '--manifests', workspace.manifests, '--digest', digest])).status).toBe(0);
    await workspace.ready('RowPolicy', 'orders', 'True');
    expect(await everything()).toBeGreaterThan(0);
    workspace.declare('shop.yaml', [shop.connection(), shop.policy(), shop.log({ filesystem: { path: workspace.log } }), shop.audit()]);
    await eventually('narrowed', async () => expect(await everything()).toBe(0));
  });
});

describe('audit', () => {
  test('every drift is sealed with who did it, and so is what mended it', async () => {
    const isPolicy = ({ type, object }: LoggedEntry) => type.startsWith('policy.') && object?.table === 'orders';
    const found = await eventually('sealed', async () => {
      const sealed = (await entries()).filter(isPolicy);
      expect(sealed.filter(({ type }) => type === 'policy.drift').length).toBeGreaterThanOrEqual(4);
      return sealed;
    });
    for (const { actor, type } of found) if (type === 'policy.drift') expect(actor).toMatchObject({ user: 'postgres' });
    expect(found.at(-1)?.type).toBe('policy.apply');
  });

  test('changes are sealed with before, after, actor and the policy in force', async () => {
    await asTenant(postgres, 'acme', async (client) => {
      await client.query("insert into orders values (10, 'acme', 'magnet', 7)");
      await client.query('update orders set amount = 8 where id = 10');
      await client.query('delete from orders where id = 10');
    });
    const changes = await eventually('sealed', async () => {
      const found = (await entries()).filter((entry) => entry.object?.key?.['id'] === '10');
      expect(found.map((entry) => entry.type)).toEqual(['row.insert', 'row.update', 'row.delete']);
      return found;
    });
    expect(changes[1]?.change).toMatchObject({ before: { amount: '7' }, after: { amount: '8' } });
    for (const change of changes) {
      expect(change.actor).toMatchObject({ user: 'app', effective: 'app', claims: { tenant_id: 'acme' } });
      expect(change.policy).toMatchObject({ digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string, evidence: 'wal' });
    }
  });

  test('a row too large for an entry is sealed as a blob that verify asks for', async () => {
    await asTenant(postgres, 'acme', (client) => client.query("insert into orders values (11, 'acme', repeat('large ', 20000), 1)"));
    const entry = await eventually('sealed', async () => {
      const found = (await entries()).find((candidate) => candidate.object?.key?.['id'] === '11');
      expect(found).toBeDefined();
      return found as LoggedEntry & { readonly blobs?: readonly string[] };
    });
    const digest = entry.blobs?.[0]?.replace('sha256:', '') ?? 'none';
    expect(existsSync(join(workspace.log, 'blobs', 'sha256', digest))).toBe(true);
  });

  test('a forged context message gives nobody’s name to a change', async () => {
    await asTenant(postgres, 'acme', async (client) => {
      await client.query(`select pg_logical_emit_message(true, 'rowseal', '{"user":"postgres"}')`).catch(async () => {
        await client.query('rollback; begin');
      });
    });
    await eventually('a truth about it', async () => {
      const forged = (await entries()).filter((entry) => entry.actor?.['user'] === 'postgres' && entry.object?.table === 'orders' && entry.type === 'row.insert');
      expect(forged).toEqual([]);
    });
  });
});

describe('bad input', () => {
  test('an unknown field and a missing table are conditions that name them', async () => {
    workspace.declare('bad.yaml', [
      { ...shop.policy({ target: { schema: 'public', tables: ['nowhere'] } }), metadata: { name: 'missing-table' } },
      { ...shop.policy({ colour: 'red' }), metadata: { name: 'unknown-field' } },
    ]);
    expect((await workspace.ready('RowPolicy', 'missing-table', 'False')).message).toContain('nowhere');
    expect((await workspace.ready('RowPolicy', 'unknown-field', 'False')).message).toContain('colour');
    workspace.declare('bad.yaml', []);
  });

  test('a missing Secret and a wrong password are conditions that name them', async () => {
    const connection = shop.connection();
    workspace.declare('bad-connection.yaml', [
      { ...connection, metadata: { name: 'no-secret' }, spec: { ...connection.spec, connection: { ...connection.spec.connection, secretRef: { name: 'absent' } } } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'wrong' }, stringData: { uri: postgres.uri('postgres', 'app', 'wrong-password') } },
      { ...connection, metadata: { name: 'wrong' }, spec: { ...connection.spec, connection: { ...connection.spec.connection, secretRef: { name: 'wrong' } } } },
    ]);
    expect((await workspace.ready('DatabaseConnection', 'no-secret', 'False')).message).toContain('absent');
    const { message } = await workspace.ready('DatabaseConnection', 'wrong', 'False');
    expect(message).toMatch(/password|authentication/i);
    expect(message).not.toContain('wrong-password');
    workspace.declare('bad-connection.yaml', []);
  });
});

describe('the end', () => {
  test('a clean stop publishes everything, and the log is sound', async () => {
    const key = await verifierKey();
    expect(await running.stop()).toBe(0);
    const verdict = await rowseal(['verify', workspace.log, '--key', key, '-o', 'json']);
    expect(verdict.status, verdict.stdout + verdict.stderr).toBe(0);
    const copy = join(workspace.folder, 'without-blob');
    cpSync(workspace.log, copy, { recursive: true });
    rmSync(join(copy, 'blobs'), { recursive: true });
    const missing = await rowseal(['verify', copy, '--key', key, '-o', 'json']);
    expect(missing.status).toBe(2);
    expect(missing.stdout).toContain('blobs/sha256/');
    expect(running.messages()).not.toContain(postgres.password);
    expect(running.messages()).not.toContain('magnet');
  });

  test('a stranger’s key is refused, with the reason', async () => {
    const key = readFileSync(await verifierKey(), 'utf8').trim();
    const [name, id, body] = [key.split('+')[0], key.split('+')[1], key.split('+').slice(2).join('+')];
    const other = `${name}+${id}+${body?.slice(0, -3)}AA=`;
    const verdict = await rowseal(['verify', workspace.log, '--key', other]);
    expect(verdict.status).not.toBe(0);
    expect(verdict.stderr + verdict.stdout).not.toMatch(/\n\s+at /);
  });
});

// `rowseal plan` on a real PostgreSQL: prints what would be done, changes nothing, and says what it cannot plan.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { advisoryLockKey } from '../../src/adapters/postgres/session-start.ts';
import { registerPlan } from '../../src/cli/plan.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { createShop, withClient } from '../parts/shop.ts';

let postgres: Postgres;
let folder: string;

beforeAll(async () => {
  postgres = await startPostgres();
  await createShop(postgres);
});
afterAll(() => postgres?.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rowseal-plan-'));
  return () => rmSync(folder, { recursive: true, force: true });
});

const head = 'apiVersion: rowseal.dev/v1alpha1\n';
const connection = `${head}kind: DatabaseConnection\nmetadata: {name: shop, namespace: shop}\nspec: {engine: PostgreSQL, connection: {secretRef: {name: admin}}}\n`;
const secret = (uri: string) => `apiVersion: v1\nkind: Secret\nmetadata: {name: admin, namespace: shop}\nstringData: {uri: "${uri}"}\n`;
const policy = (over: { table?: string; using?: string; role?: string } = {}) =>
  `${head}kind: RowPolicy\nmetadata: {name: orders, namespace: shop}\nspec:\n  databaseRef: {name: shop}\n  target: {schema: public, tables: [${over.table ?? 'orders'}]}\n` +
  `  rules: [{name: tenant, roles: [${over.role ?? 'app'}], commands: [All], using: ${over.using ?? '{all: [{column: tenant_id, op: Eq, claim: [tenant_id]}]}'}}]\n`;

function write(...documents: string[]): void {
  writeFileSync(join(folder, 'all.yaml'), documents.join('---\n'));
}

async function plan(args: readonly string[] = [], env: Record<string, string> = {}): Promise<{ status: number; stdout: string; stderr: string }> {
  const out = { stdout: '', stderr: '', status: -1 };
  const sink = (name: 'stdout' | 'stderr') => new Writable({ write: (chunk: Buffer, _encoding, done) => ((out[name] += chunk.toString()), done()) });
  const program = new Command().exitOverride();
  registerPlan(program, { stdout: sink('stdout'), stderr: sink('stderr'), env, cwd: folder, signal: AbortSignal.timeout(30_000), color: false, exit: (status) => (out.status = status) });
  await program.parseAsync(['plan', '.', ...args], { from: 'user' });
  expect(out.stderr + out.stdout).not.toContain(postgres.password);
  return out;
}

/** Everything that a plan could leave behind, from all the catalogs that hold user objects, roles and locks. */
async function snapshot(): Promise<string> {
  const catalogs = ['pg_class', 'pg_policy', 'pg_proc', 'pg_namespace', 'pg_authid', 'pg_auth_members', 'pg_description', 'pg_event_trigger', 'pg_trigger', 'pg_type', 'pg_depend', 'pg_shdepend', 'pg_db_role_setting', 'pg_database', 'pg_attribute'];
  return withClient(postgres.uri(), async (client) => {
    const parts: string[] = [];
    for (const catalog of catalogs) {
      // Row versions, too: a change that was undone would still show.
      const { rows } = await client.query(`select c.xmin::text as version, md5(c::text) as row from ${catalog} c order by 2`);
      parts.push(`${catalog} ${JSON.stringify(rows)}`);
    }
    return parts.join('\n');
  });
}

test('prints each statement with its reason, in three formats, and changes nothing at all', async () => {
  write(secret(postgres.uri()), connection, policy());
  const before = await snapshot();
  const text = await plan();
  const sql = await plan(['-o', 'sql']);
  const json = JSON.parse((await plan(['-o', 'json'])).stdout) as { rowPolicy: string; digest: string; steps: { sql: string; why: string; widening: boolean }[] }[];
  expect(await snapshot()).toBe(before);
  expect(text.status).toBe(0);
  expect(text.stdout).toContain('RowPolicy shop/orders');
  expect(text.stdout).toMatch(/public\.orders\n +- row security off\n +\+ row security forced\n +\+ policy "rowseal_shop_orders_tenant": permissive, all, to app\n/);
  expect(sql.stdout).toContain('alter table "public"."orders" force row level security;');
  expect(json[0]?.steps.map((step) => step.sql.split(' ').slice(0, 2).join(' '))).toEqual(['alter table', 'alter table', 'create policy']);
  expect(json[0]?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
});

test('counts, when asked, the rows that each role gains and loses; and leaves nothing behind', async () => {
  const tests = `  tests: [{name: acme, as: {role: app, claims: {tenant_id: acme}}, expect: {table: orders, count: 1}}]\n`;
  write(secret(postgres.uri()), connection, policy() + tests);
  const before = await rolesAndTables();
  const text = await plan(['--rows']);
  expect(text.stdout).toContain('app on public.orders, without claims: gains 0 rows, loses 2\n');
  expect(text.stdout).toContain('app on public.orders, claims of test "acme": gains 0 rows, loses 1\n');
  const [json] = JSON.parse((await plan(['--rows', '-o', 'json'])).stdout) as { rows: { changes: unknown[]; notCounted: string[] } }[];
  expect(json?.rows).toMatchObject({ changes: [{ role: 'app', gained: 0, lost: 2 }, { test: 'acme', gained: 0, lost: 1 }], notCounted: [] });
  expect(await rolesAndTables()).toEqual(before);
});

test('without the right to make the probe role it plans, and says that nothing was counted', async () => {
  await withClient(postgres.uri(), (client) => client.query(`create role poor login password 'x'`));
  write(secret(postgres.uri('postgres', 'poor', 'x')), connection, policy());
  await withClient(postgres.uri(), (client) => client.query('grant postgres to poor'));
  const { status, stdout } = await plan(['--rows']);
  await withClient(postgres.uri(), (client) => client.query('revoke postgres from poor'));
  expect([status, stdout]).toEqual([0, expect.stringMatching(/not counted: .*(may not|CREATEROLE|BYPASSRLS)/)]);
});

async function rolesAndTables(): Promise<unknown> {
  return withClient(postgres.uri(), async (client) => (await client.query(`select (select array_agg(rolname::text order by 1) from pg_roles) as roles, (select count(*) from pg_class) as relations`)).rows);
}

test('needs neither the lock nor the Secret among the manifests', async () => {
  write(connection, policy());
  expect(await plan()).toMatchObject({ status: 1, stderr: expect.stringContaining('Secret shop/admin') });
  await withClient(postgres.uri(), async (client) => {
    await client.query('select pg_advisory_lock($1)', [advisoryLockKey.toString()]);
    expect((await plan([], { ROWSEAL_DATABASE_URL: postgres.uri() })).status).toBe(0);
  });
});

test('marks what widens, once row security is on', async () => {
  await withClient(postgres.uri(), (client) => client.query('alter table public.orders enable row level security'));
  write(secret(postgres.uri()), connection, policy());
  expect((await plan()).stdout).toMatch(/widening +rule tenant/);
  const withoutWiden = connection.replace('{name: admin}}}', '{name: admin}}, grants: [{name: all, namespaces: {from: All}}]}');
  write(secret(postgres.uri()), withoutWiden, policy());
  expect(await plan()).toMatchObject({ status: 1, stdout: expect.stringContaining('widening'), stderr: expect.stringContaining('Widen') });
});

test.each([
  ['a missing table', policy({ table: 'absent' }), 1, /public\.absent/],
  ['a missing column', policy({ using: '{all: [{column: nope, op: Eq, claim: [x]}]}' }), 1, /nope/],
  ['a missing role', policy({ role: 'absent' }), 1, /absent/],
  ['sql without the grant', policy({ using: '{sql: "true"}' }), 1, /SQL/],
  ['an unknown field', policy().replace('rules:', 'ruels:'), 3, /ruels/],
])('says so of %s', async (_name, document, status, named) => {
  write(secret(postgres.uri()), connection, document);
  const result = await plan();
  expect(result.status).toBe(status);
  expect(result.stderr).toMatch(named);
  expect(result.stderr).not.toMatch(/^ +at /m);
});

test('exits 3 on a wrong password and an unreachable server', async () => {
  write(secret(postgres.uri('postgres', 'postgres', 'wrong')), connection, policy());
  expect((await plan()).status).toBe(3);
  write(secret('postgresql://u:p@127.0.0.1:1/x'), connection, policy());
  expect((await plan()).status).toBe(3);
});

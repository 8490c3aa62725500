// `rowseal lint` on a real PostgreSQL: URL and manifests, three formats, with witnesses and without, and nothing left behind.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { registerLint } from '../../src/cli/lint.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';

let postgres: Postgres;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rowseal-lint-'));
  postgres = await startPostgres();
  await withClient(postgres.uri(), (client) =>
    client.query(`create role app login; create role poor login password 'x'; create schema other; grant usage on schema other to app;
      create table orders (id int, tenant_id text); create table other.notes (id int, tenant_id text);
      insert into orders values (1, 'secret-tenant'), (2, 'globex');
      alter table orders enable row level security; alter table other.notes enable row level security;
      create policy tenant on orders using (tenant_id = current_setting('app.tenant_id', true));
      create policy tenant on other.notes using (tenant_id = current_setting('app.tenant_id', true));
      create view v_orders as select * from orders; create view other.v_notes as select * from other.notes;
      grant select on orders, v_orders, other.v_notes to app`),
  );
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await postgres?.stop();
});

async function lint(args: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const out = { stdout: '', stderr: '', status: -1 };
  const sink = (name: 'stdout' | 'stderr') => new Writable({ write: (chunk: Buffer, _encoding, done) => ((out[name] += chunk.toString()), done()) });
  const program = new Command().exitOverride();
  registerLint(program, { stdout: sink('stdout'), stderr: sink('stderr'), env: {}, cwd: folder, signal: AbortSignal.timeout(30_000), color: false, exit: (status) => (out.status = status) });
  await program.parseAsync(['lint', ...args], { from: 'user' });
  // Neither a row's contents nor a password is ever printed.
  expect(out.stderr + out.stdout).not.toContain('secret-tenant');
  expect(out.stderr + out.stdout).not.toContain(postgres.password);
  return out;
}

async function leftovers(): Promise<readonly string[]> {
  return withClient(postgres.uri(), async (client) => (await client.query<{ name: string }>(`select rolname as name from pg_roles where rolname like 'rowseal%'`)).rows.map((row) => row.name));
}

test('prints findings with their witness, exits 1 for an error, and leaves nothing behind', async () => {
  const { status, stdout } = await lint([postgres.uri()]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^error +definer-view +public\.v_orders\n.*app.*\n +fix: ALTER VIEW "public"\."v_orders" SET \(security_invoker = true\)\n +shown: app reads 2 rows, none with its own rights/m);
  expect(stdout).toMatch(/postgres at 127\.0\.0\.1.* 2 errors/);
  expect(await leftovers()).toEqual([]);
});

test('keeps to the schemas asked for, and to the catalog where witnesses are not wanted', async () => {
  const { stdout } = await lint([postgres.uri(), '-o', 'json', '--no-witness', '--schema', 'other']);
  const [database] = JSON.parse(stdout) as { findings: { lint: string; object: string; outcome?: object }[] }[];
  expect(database?.findings.map(({ lint: id, object, outcome }) => [id, object, outcome])).toEqual([['definer-view', 'other.v_notes', undefined]]);
});

test('hands out what a witness ran, to be seen by hand', async () => {
  const [database] = JSON.parse((await lint([postgres.uri(), '-o', 'json'])).stdout) as { findings: { lint: string; object: string; outcome?: { result: string; replay: string[] } }[] }[];
  const replay = database?.findings.find(({ lint: id, object }) => id === 'definer-view' && object === 'public.v_orders')?.outcome?.replay ?? [];
  const counts = await withClient(postgres.uri(), async (client) => {
    await client.query('begin');
    const seen: unknown[] = [];
    for (const statement of replay) seen.push(((await client.query(statement)) as { rows?: { count?: number }[] }).rows?.[0]?.count);
    await client.query('rollback');
    return seen.filter((count) => count !== undefined);
  });
  expect(counts).toEqual([2, 0]);
});

test('says why a witness was not tried where no probe role can be made', async () => {
  const { status, stdout } = await lint([postgres.uri('postgres', 'poor', 'x')]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/not tried: .*CREATEROLE/);
});

test('writes SARIF whose results name their rules', async () => {
  const log = JSON.parse((await lint([postgres.uri(), '-o', 'sarif'])).stdout) as {
    version: string;
    runs: { tool: { driver: { rules: { id: string }[] } }; results: { ruleId: string; ruleIndex: number; level: string; message: { text: string }; locations: { logicalLocations: object[] }[] }[] }[];
  };
  expect(log.version).toBe('2.1.0');
  for (const { tool, results } of log.runs) {
    expect(results.length).toBeGreaterThan(0);
    for (const result of results) {
      expect(tool.driver.rules[result.ruleIndex]?.id).toBe(result.ruleId);
      expect(['error', 'warning', 'note']).toContain(result.level);
      expect(result.locations[0]?.logicalLocations).toHaveLength(1);
    }
  }
});

const manifest = (uri: string, extra = '') => `apiVersion: v1\nkind: Secret\nmetadata: {name: admin, namespace: shop}\nstringData: {uri: "${uri}"}
---
apiVersion: rowseal.dev/v1alpha1\nkind: DatabaseConnection\nmetadata: {name: shop, namespace: shop}\nspec: {engine: PostgreSQL, connection: {secretRef: {name: admin}}}
---
apiVersion: rowseal.dev/v1alpha1\nkind: RowPolicy\nmetadata: {name: orders, namespace: shop}
spec:\n  databaseRef: {name: shop}\n  target: {schema: public, tables: [orders]}
  rules: [{name: tenant, roles: [app], commands: [All], using: {all: [{column: tenant_id, op: Eq, claim: [tenant_id]}]}}]\n${extra}`;

test('manifests: the tables that RowPolicies govern, without what they allow', async () => {
  writeFileSync(join(folder, 'all.yaml'), manifest(postgres.uri()));
  const { status, stdout } = await lint(['.']);
  expect(status).toBe(1);
  expect(stdout).toContain('public.v_orders');
  expect(stdout).not.toContain('v_notes');
  writeFileSync(join(folder, 'all.yaml'), manifest(postgres.uri(), '  allowedFindings: [{lint: definer-view, object: public.v_orders, reason: shows nothing of worth}]\n'));
  const allowed = await lint(['.']);
  expect(allowed).toMatchObject({ status: 0, stdout: expect.stringContaining('1 allowed') });
});

test('exits 3 for an unreachable database among manifests, and throws what it is for a URL', async () => {
  writeFileSync(join(folder, 'all.yaml'), manifest('postgresql://u:p@127.0.0.1:1/x'));
  expect(await lint(['.'])).toMatchObject({ status: 3, stderr: expect.stringContaining('no connection') });
  await expect(lint(['postgresql://u:p@127.0.0.1:1/x'])).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
  await expect(lint(['postgresql://127.0.0.1/x'])).rejects.toMatchObject({ code: 'BadUsage' });
});

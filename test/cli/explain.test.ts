// `rowseal explain` on real PostgreSQL: each cause of seeing no rows is named, nothing is left behind, and no row is shown.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { registerExplain } from '../../src/cli/explain.ts';
import { describeError } from '../../src/model/errors.ts';
import type { Explanation } from '../../src/policy/explanation.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';

/** As Rowseal compiles it, from 16 on and before. */
const claimSql = (name: string, major: number) =>
  `(select case when ${major >= 16 ? 'pg_catalog.pg_input_is_valid' : 'rowseal.input_is_valid'}(c.value, '"pg_catalog"."uuid"') then cast(c.value as uuid) end from (select (nullif(current_setting('request.jwt.claims', true), '')::jsonb) #>> array['${name}'] as value) as c)`;

describe.each([18, 15] as const)('PostgreSQL %s', (major) => {
  let postgres: Postgres;
  const admin = (sql: string) => withClient(postgres.uri(), (client) => client.query(sql));
  const acme = '11111111-1111-1111-1111-111111111111';

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    await admin(`create role operator login createrole bypassrls password 'op'; create role reader login bypassrls password 're'; create role owner nologin; create role app nologin; create role other nologin;
      create role boss nologin superuser; create role staff nologin; create role clerk nologin noinherit; grant staff to clerk;
      grant owner to operator, reader; grant app, other, owner, clerk, staff to operator with admin option; create schema rowseal; create schema hidden; grant usage on schema rowseal to public;
      create function rowseal.input_is_valid(value text, type_name text) returns boolean language plpgsql stable as $$ begin execute format('select cast($1 as %s)', $2) using $1; return true; exception when others then return false; end $$;`);
  });
  afterAll(() => postgres?.stop());
  beforeEach(async () => {
    await admin(`drop table if exists public.orders, public.members, hidden.orders cascade; create table public.orders (id int, tenant uuid, state text, note text); create table public.members (team text);
      create table hidden.orders (id int); alter table public.orders owner to owner; alter table public.members owner to owner;
      insert into public.orders select i, case when i <= 12 then '${acme}'::uuid else gen_random_uuid() end, case when i % 2 = 0 then 'open' else 'done' end, 'secret row' from generate_series(1, 20) i;
      grant select, update on public.orders to app, clerk, owner; grant update (note) on public.orders to other; alter table public.orders enable row level security, force row level security;`);
  });

  async function run(args: readonly string[], user = 'operator', password = 'op'): Promise<string> {
    let out = '';
    const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => ((out += chunk.toString()), done()) });
    const program = new Command().exitOverride();
    registerExplain(program, { stdout: sink, stderr: sink, env: {}, cwd: tmpdir(), signal: AbortSignal.timeout(30_000), color: false, exit: () => undefined });
    await program.parseAsync(['explain', ...(args[0]?.startsWith('/') === true ? args : [postgres.uri('postgres', user, password), ...args])], { from: 'user' });
    expect(out).not.toContain('secret row');
    return out;
  }
  const explain = async (role: string, more: readonly string[] = [], table = 'orders'): Promise<Explanation> => JSON.parse(await run(['--role', role, '--table', table, '-o', 'json', ...more])) as Explanation;
  const answer = async (role: string, more: readonly string[] = []) => (await explain(role, more)).summary[0];
  const policy = (sql: string) => admin(`create policy ${sql}`);

  test('who is not bound at all, and who may not even ask', async () => {
    expect(await answer('boss')).toMatch(/superuser/);
    expect(await answer('operator')).toMatch(/BYPASSRLS/);
    expect(await answer('other')).toMatch(/lacks SELECT on public\.orders/);
    expect((await explain('app', [], 'hidden.orders')).summary[0]).toMatch(/lacks USAGE on schema hidden/);
    expect(await answer('app')).toMatch(/no permissive policy is for app and Select/);
    await admin('alter table public.orders no force row level security');
    expect(await answer('owner')).toMatch(/rights of the owner owner, and row security is not forced/);
    await admin('alter table public.orders disable row level security');
    expect(await answer('app')).toMatch(/row security is off/);
  });

  test('claims that are missing, empty, or no valid value', async () => {
    await policy(`tenant on public.orders to app using (tenant = ${claimSql('tenant_id', major)})`);
    const notes = async (claims?: string) => (await explain('app', claims === undefined ? [] : ['--claims', claims])).summary.join('; ');
    expect(await notes()).toMatch(/no permissive policy admits any of 20 rows; the session has no claims/);
    expect(await notes('{"sub":"ann"}')).toMatch(/the claim tenant_id is missing/);
    expect(await notes('{"tenant_id":"acme"}')).toMatch(/the claim tenant_id is no valid uuid/);
    expect(await notes(`{"tenant_id":"${acme}"}`)).toBe('app can see 12 of 20 rows');
  });

  test('signed claims are taken as verified', async () => {
    await admin(`create or replace function rowseal.signed_claims(setting text, bind text) returns jsonb language sql stable as 'select null::jsonb'`);
    await policy(`tenant on public.orders to app using (tenant = (select (rowseal.signed_claims('rowseal.token', 'Session') ->> 'tenant_id')::uuid))`);
    const notes = async (...more: string[]) => (await explain('app', more)).summary.join('; ');
    expect(await notes()).toMatch(/no permissive policy admits any of 20 rows; the session has no claims \(rowseal\.token is empty\)/);
    expect(await notes('--claims', '{"sub":"ann"}')).toMatch(/the claim tenant_id is missing/);
    expect(await notes('--claims', `{"tenant_id":"${acme}"}`)).toBe('app can see 12 of 20 rows');
    expect(await notes('--claims', '{"tenant_id":"acme"}')).toMatch(/policy tenant fails.*22P02/);
  });

  test('each policy with its own verdict: for others, restrictive, failing, recursive', async () => {
    await policy(`tenant on public.orders to app using (tenant = '${acme}')`);
    await policy(`staff on public.orders to staff using (true)`);
    await policy(`writes on public.orders for update to app using (true)`);
    await policy(`half on public.orders as restrictive to app using (state = 'open')`);
    const found = await explain('app');
    expect(found.summary).toEqual(['app can see 6 of 20 rows', 'restrictive policy half takes away 6 admitted rows']);
    expect(found.policies.map(({ name, admits, removes, notFor }) => ({ name, admits, removes, notFor }))).toEqual([
      { name: 'half', admits: 10, removes: 6, notFor: undefined },
      { name: 'staff', admits: undefined, removes: undefined, notFor: 'it is for staff' },
      { name: 'tenant', admits: 12, removes: undefined, notFor: undefined },
      { name: 'writes', admits: undefined, removes: undefined, notFor: 'it is for Update only' },
    ]);
    expect((await explain('clerk')).policies.find(({ name }) => name === 'staff')?.notFor).toMatch(/does not inherit: SET ROLE staff/);
    expect(await answer('app', ['--command', 'update'])).toBe('app can update 10 of 20 rows');
    await admin(`alter policy half on public.orders using (state = current_setting('app.state', true))`);
    expect((await explain('app')).policies[0]?.notes).toEqual(['the setting app.state is empty']);
    expect(await answer('app', ['--set', 'app.state=done'])).toBe('app can see 6 of 20 rows');
    await admin(`alter policy half on public.orders using (tenant = current_setting('app.state', true)::uuid)`);
    expect(await answer('app', ['--set', 'app.state=done'])).toMatch(/policy half fails.*22P02/);
    await admin(`alter policy half on public.orders using (exists (select from public.members))`);
    expect(await answer('app')).toMatch(/policy half fails.*permission denied for table members/);
    await admin(`alter policy half on public.orders using (id in (select o.id from public.orders o))`);
    expect(await answer('app')).toMatch(/policy half fails.*infinite recursion/);
  });

  test('without the right to make a probe role it says everything but the counts', async () => {
    await policy(`tenant on public.orders to app using (tenant = ${claimSql('tenant_id', major)})`);
    const text = await run(['--role', 'app', '--table', 'public.orders'], 'reader', 're');
    expect(text).toMatch(/not counted: .*GRANT "app" TO "reader"/);
    expect(text).toMatch(/the session has no claims/);
    expect(text).toMatch(/row security +on and forced/);
  });

  test('manifests name the database and its way of saying claims; large tables are looked at in part; nothing is left behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rowseal-explain-'));
    const uri = postgres.uri('postgres', 'operator', 'op');
    writeFileSync(join(folder, 'all.yaml'), `apiVersion: v1\nkind: Secret\nmetadata: {name: admin}\nstringData: {uri: "${uri}"}\n---\napiVersion: rowseal.dev/v1alpha1\nkind: DatabaseConnection\nmetadata: {name: shop}\nspec: {engine: PostgreSQL, connection: {secretRef: {name: admin}}, claims: {type: Setting, setting: app.claims}}\n`);
    await policy(`tenant on public.orders to app using (tenant = ${claimSql('tenant_id', major).replace('request.jwt.claims', 'app.claims')})`);
    const text = await run([folder, '--role', 'app', '--table', 'orders', '--claims', `{"tenant_id":"${acme}"}`, '--rows', '5']);
    expect(text).toContain('app can see 5 of the first 5 rows');
    rmSync(folder, { recursive: true });
    const { rows } = await admin(`select count(*)::int as roles from pg_roles where rolname like 'rowseal_probe%'`);
    expect(rows).toEqual([{ roles: 0 }]);
  });

  test.each([
    [['--role', 'nobody', '--table', 'orders'], /role nobody does not exist/],
    [['--role', 'app', '--table', 'absent'], /table public\.absent does not exist/],
    [['--role', 'app', '--table', 'orders', '--claims', 'x'], /JSON object/],
    [['--role', 'app', '--table', 'a.b.c'], /no name of a table/],
  ])('refuses what means nothing', async (args, message) => {
    await expect(run(args).catch((error: unknown) => Promise.reject(new Error(describeError(error))))).rejects.toThrow(message);
  });
});

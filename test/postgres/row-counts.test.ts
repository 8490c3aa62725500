// What a plan gives and takes, counted row by row for each role on copies of the real rows, on real PostgreSQL with the least rights.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectionTarget } from '../../src/adapters/postgres/connection-target.ts';
import { createPolicyChecks } from '../../src/adapters/postgres/policy-checks.ts';
import { createPolicyStore } from '../../src/adapters/postgres/policy-store.ts';
import { createProbe } from '../../src/adapters/postgres/probe.ts';
import { openSession, type Session } from '../../src/adapters/postgres/session.ts';
import { systemClock } from '../../src/cli/system.ts';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import { desiredFrom, membershipTables, rolesOf } from '../../src/policy/desired.ts';
import { plan } from '../../src/policy/plan.ts';
import type { PolicyDatabase, PolicyTest, RowCounts } from '../../src/ports/policy-database.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';

type Rules = RowPolicySpec['rules'];
const tenant: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }] } }];
const asAcme: PolicyTest = { name: 'acme', as: { role: 'app', claims: { tenant_id: 'acme' } }, expect: { table: 'orders', count: 2 } };
const setting: ClaimsConfiguration = { type: 'Setting', setting: 'request.jwt.claims' };
const signal = () => AbortSignal.timeout(60_000);

describe.each([18, 17, 16, 15] as const)('PostgreSQL %s with the least rights', (major) => {
  let postgres: Postgres;
  let session: Session;

  const admin = (sql: string) => withClient(postgres.uri(), (client) => client.query(sql));
  const connect = (claims: ClaimsConfiguration = setting): PolicyDatabase => {
    const facts = { user: 'operator', database: 'postgres', versionNumber: major * 10_000 };
    const probe = createProbe({ session, facts, randomness: { bytes: (length) => new Uint8Array(randomBytes(length)) } });
    return { ...createPolicyStore({ session, clock: systemClock, claims }), ...createPolicyChecks({ session, probe, claims }) };
  };

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    await admin(`create role operator login createrole bypassrls password 'op'; create role owner nologin; create role app nologin; create role other nologin; create role blind nologin;
      grant connect, create on database postgres to operator with grant option; grant owner to operator; grant app, other, blind, owner to operator with admin option;
      create type public.mood as enum ('fine', 'bad'); create domain public.tag as text check (value <> 'never');`);
    const target = connectionTarget({ spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'x' } } }, secret: { data: { uri: postgres.uri('postgres', 'operator', 'op') }, annotations: {}, resourceVersion: '' }, secretName: 'x' });
    session = await openSession(target, signal());
    await connect().install(signal());
  });
  afterAll(async () => {
    await session?.close();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await admin(`drop table if exists public.orders, public.members, public.notes cascade;
      create table public.orders (id bigint generated always as identity, tenant_id varchar(40), team text, at timestamptz default now(), tags public.tag[], mood public.mood, data jsonb, twice text generated always as (tenant_id || tenant_id) stored);
      create table public.members (user_id text, team text); create table public.notes (line text);
      insert into public.orders (tenant_id, team, tags, mood, data) values ('acme', 'red', '{a,NULL,"b,c"}', 'fine', '{"secret": "row"}'), ('acme', 'blue', null, null, 'null'), ('globex', 'red', '{}', 'bad', '[]'), (null, null, null, null, null);
      insert into public.members values ('ann', 'red'), ('bob', 'blue');
      alter table public.orders owner to owner; alter table public.members owner to owner; alter table public.notes owner to owner;
      grant select on public.orders, public.members to app, other; grant insert on public.notes to app;`);
  });

  async function count(rules: Rules, { tests = [], database = connect(), rowSecurity = 'Forced' }: { tests?: readonly PolicyTest[]; database?: PolicyDatabase; rowSecurity?: 'Forced' | 'Enabled' } = {}): Promise<RowCounts> {
    const spec: RowPolicySpec = { databaseRef: { name: 'db' }, target: { schema: 'public', tables: ['orders'] }, rules, rowSecurity };
    const desired = desiredFrom({ namespace: 'shop', name: 'orders' }, spec);
    const observation = await database.observe({ owner: desired.owner, target: spec.target, tables: membershipTables(desired), roles: rolesOf(desired) }, signal());
    const counts = await database.countRows({ tests, schema: 'public', desired, observation, plan: plan(database.compile(desired, observation), observation) }, signal());
    expect(JSON.stringify(counts)).not.toContain('secret');
    return counts;
  }
  const change = (role: string, gained: number, lost: number, name?: string) => ({ table: 'public.orders', role, ...(name === undefined ? {} : { test: name }), gained, lost });

  test('the first rollout takes every row from who says nothing, and leaves a tenant its own', async () => {
    expect(await count(tenant, { tests: [asAcme] })).toEqual({ changes: [change('app', 0, 4), change('app', 0, 2, 'acme')], notCounted: [] });
    expect(await withClient(postgres.uri(), async (client) => (await client.query(`select count(*)::int as n from pg_class where relpersistence = 't'`)).rows)).toEqual([{ n: 0 }]);
  });

  test('rows are compared one by one: as many may be gained as are lost', async () => {
    await admin(`alter table public.orders enable row level security; create policy red on public.orders for select to app using (team = 'red' and exists (select from public.members m where m.team = orders.team))`);
    const blue: Rules = [{ name: 'narrow', as: 'Restrictive', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'tenant_id', op: 'Ne', value: 'globex' }] } }, ...tenant];
    // Now the two red ones; then those of acme, less what globex has.
    expect(await count(blue, { tests: [asAcme] })).toMatchObject({ changes: [change('app', 0, 1), change('app', 1, 1, 'acme')], notCounted: [] });
  });

  test('memberships are looked up in copies past their policies, sql reads as the role may', async () => {
    await admin('alter table public.members enable row level security; alter table public.members force row level security');
    const member: Rules = [{ name: 'team', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'team', member: { table: 'members', column: 'team', where: { all: [{ column: 'user_id', op: 'Eq', claim: ['sub'] }] } } }] } }];
    const asAnn: PolicyTest = { ...asAcme, name: 'ann', as: { role: 'app', claims: { sub: 'ann' } } };
    expect((await count(member, { tests: [asAnn] })).changes).toEqual([change('app', 0, 4), change('app', 0, 2, 'ann')]);
    const sql: Rules = [{ name: 'sql', roles: ['app'], commands: ['Select'], using: { sql: 'exists (select from public.members m where m.team = orders.team)' } }];
    expect((await count(sql)).changes).toEqual([change('app', 0, 4)]);
    await admin('alter table public.members disable row level security');
    expect((await count(sql)).changes).toEqual([change('app', 0, 1)]);
  });

  test('owners, PUBLIC, roles without the right to read, and roles that no policy binds', async () => {
    const open: Rules = [{ name: 'all', roles: ['PUBLIC'], commands: ['Select'], using: { sql: 'true' } }];
    await admin('alter table public.orders enable row level security');
    // Granted by name: app and other. The owner sees all as long as it is not forced.
    expect((await count(open)).changes).toEqual([change('app', 4, 0), change('other', 4, 0)]);
    const owner: Rules = [{ name: 'mine', roles: ['owner', 'blind'], commands: ['Select'], using: { all: [{ column: 'team', op: 'Eq', value: 'red' }] } }];
    expect((await count(owner, { rowSecurity: 'Enabled' })).changes).toEqual([change('blind', 0, 0), change('owner', 0, 0)]);
    expect((await count(owner)).changes).toEqual([change('blind', 0, 0), change('owner', 0, 2)]);
    await admin('create role strong bypassrls');
    expect(await count([{ ...tenant[0], roles: ['strong'] } as Rules[number]])).toMatchObject({ changes: [], notCounted: [expect.stringContaining('strong')] });
    await admin('drop role strong');
  });

  test('a partitioned table is counted through its root', async () => {
    await admin(`drop table public.orders; create table public.orders (id int, tenant_id text, team text) partition by list (team); create table public.red partition of public.orders for values in ('red');
      create table public.blue partition of public.orders for values in ('blue'); alter table public.orders owner to owner; alter table public.red owner to owner; alter table public.blue owner to owner;
      insert into public.orders values (1, 'acme', 'red'), (2, 'acme', 'blue'), (3, 'globex', 'red'); grant select on public.orders to app`);
    expect(await count(tenant, { tests: [asAcme] })).toEqual({ changes: [change('app', 0, 3), change('app', 0, 1, 'acme')], notCounted: [] });
  });

  test('an old policy that writes or never ends does neither', async () => {
    await admin(`create or replace function public.scribble() returns boolean language sql volatile as 'insert into public.notes values (''here'') returning true';
      alter table public.orders enable row level security; create policy old on public.orders using (public.scribble())`);
    expect(await count(tenant)).toMatchObject({ changes: [], notCounted: [expect.stringContaining('write'), expect.stringContaining('write')] });
    await admin(`alter policy old on public.orders using (pg_sleep(60) is null)`);
    expect(await count(tenant)).toMatchObject({ changes: [], notCounted: [expect.stringContaining('5 s'), expect.stringContaining('5 s')] });
    expect(await withClient(postgres.uri(), async (client) => (await client.query(`select count(*)::int as n from public.notes`)).rows)).toEqual([{ n: 0 }]);
  }, 60_000);

  test('a predicate that steps out of its role can read neither the copies nor the tables', async () => {
    const reads = (what: string): Rules => [{ name: 'sql', roles: ['app'], commands: ['Select'], using: { sql: `set_config('role', 'none', true) = 'none' and query_to_xml('select * from ${what}', true, true, '') is not null` } }];
    // What fails shows nothing: all four rows are lost.
    for (const what of ['pg_temp.orders', 'public.orders', 'public.members']) expect((await count(reads(what))).changes).toEqual([change('app', 0, 4)]);
    expect((await count(reads('pg_catalog.pg_am'))).changes).toEqual([change('app', 0, 0)]);
    const regrants: Rules = [{ name: 'sql', roles: ['app'], commands: ['Select'], using: { sql: `set_config('role', 'none', true) = 'none' and query_to_xml('grant select on pg_temp.orders to app', true, true, '') is not null` } }];
    expect((await count(regrants)).changes).toEqual([change('app', 0, 4)]);
  });

  test('signed claims count as the claims of a test, before and after', async () => {
    const database = connect({ type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' });
    await admin(`create or replace function rowseal.signed_claims(text, text) returns jsonb language sql stable as 'select null::jsonb'; grant execute on function rowseal.signed_claims to public;
      alter table public.orders enable row level security; create policy old on public.orders for select to app using (team = rowseal.signed_claims('rowseal.token', 'Transaction') ->> 'team')`);
    const red: PolicyTest = { ...asAcme, name: 'red', as: { role: 'app', claims: { team: 'red', tenant_id: 'globex' } } };
    const restricted: Rules = [{ ...tenant[0], as: 'Restrictive' } as Rules[number]];
    expect((await count(restricted, { tests: [red], database })).changes).toEqual([change('app', 0, 0), change('app', 0, 1, 'red')]);
    const spec: RowPolicySpec = { databaseRef: { name: 'db' }, target: { schema: 'public', tables: ['orders'] }, rules: restricted };
    const desired = desiredFrom({ namespace: 'shop', name: 'orders' }, spec);
    const observation = await database.observe({ owner: desired.owner, target: spec.target, tables: [], roles: ['app'] }, signal());
    expect(await database.runLiveTests({ tests: [red, { ...red, name: 'one', expect: { table: 'orders', count: 1 } }], schema: 'public', desired, observation }, signal())).toMatchObject([{ name: 'red', passed: true }, { name: 'one', passed: false }]);
    await admin('drop policy old on public.orders');
  });

  test('what is too large, or not ours to read, is said', async () => {
    await admin(`insert into public.orders (tenant_id) select 'acme' from generate_series(1, 10000)`);
    expect(await count(tenant)).toEqual({ changes: [], notCounted: [expect.stringMatching(/public\.orders has more than 10,000 rows/)] });
    await admin(`truncate public.orders; alter table public.orders enable row level security, force row level security; alter role operator nobypassrls`);
    expect(await count(tenant)).toEqual({ changes: [], notCounted: [expect.stringMatching(/public\.orders.*BYPASSRLS/)] });
    await admin('alter role operator bypassrls');
  });
});

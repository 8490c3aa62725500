// In-manifest tests on the probe connection: each kind passing and failing, and a malicious predicate that reaches nothing.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectionTarget } from '../../src/adapters/postgres/connection-target.ts';
import { readFacts } from '../../src/adapters/postgres/facts.ts';
import { createPolicyChecks } from '../../src/adapters/postgres/policy-checks.ts';
import { createPolicyStore } from '../../src/adapters/postgres/policy-store.ts';
import { createProbe, type Probe } from '../../src/adapters/postgres/probe.ts';
import { openSession, type Session } from '../../src/adapters/postgres/session.ts';
import { systemClock } from '../../src/cli/system.ts';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import { desiredFrom, noNeighbours, membershipTables, rolesOf } from '../../src/policy/desired.ts';
import { plan } from '../../src/policy/plan.ts';
import type { PolicyDatabase, PolicyTest, TestOutcome } from '../../src/ports/policy-database.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';

type Rules = RowPolicySpec['rules'];
type Row = Record<string, string | number | null>;

const tenantRule: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }] } }];
const memberRule: Rules = [
  {
    name: 'team',
    roles: ['app'],
    commands: ['Select'],
    using: { all: [{ column: 'tenant_id', member: { table: 'members', column: 'tenant_id', where: { all: [{ column: 'user_id', op: 'Eq', claim: ['sub'] }] } } }] },
  },
];
const sqlRule = (sql: string): Rules => [{ name: 'sql', roles: ['app'], commands: ['Select'], using: { sql } }];
const rows = [
  { id: 1, tenant_id: 'acme', price: '1.50' },
  { id: 2, tenant_id: 'globex', price: null },
  { id: 3, tenant_id: `'); drop table public.orders; --`, price: '2' },
];
const asAcme = { role: 'app', claims: { tenant_id: 'acme' } };

function signal(): AbortSignal {
  return AbortSignal.timeout(30_000);
}

describe.each([
  [18, 'as superuser', 'postgres'],
  [18, 'with the least rights', 'operator'],
  [17, 'with the least rights', 'operator'],
  [16, 'with the least rights', 'operator'],
  [15, 'with the least rights', 'operator'],
] as const)('PostgreSQL %s %s', (major, _rights, user) => {
  let postgres: Postgres;
  let session: Session;
  let probe: Probe;
  let database: PolicyDatabase;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    await withClient(postgres.uri(), async (client) => {
      await client.query(`
        create role operator login createrole bypassrls password 'op'; create role owner nologin; create role app login password 'x';
        create role other nologin; create role strong nologin bypassrls; create role climber nologin; grant strong to climber;
        grant connect, create on database postgres to operator with grant option;
        grant owner to operator; grant app, other to operator with admin option;
        create table public.orders (id bigint primary key, tenant_id varchar(40) not null check (tenant_id <> 'never'), price numeric(8,2), extra text not null);
        create table public.members (user_id text, tenant_id text);
        alter table public.orders owner to owner; alter table public.members owner to owner;
        insert into public.orders values (10, 'acme', 1, 'secret row'), (11, 'globex', 1, 'secret row'), (12, 'acme', 1, 'secret row');
        grant select on public.orders to app;
        create table public.treasure (gold text); insert into public.treasure values ('secret row'); revoke all on public.treasure from public;`);
    });
    const uri = user === 'postgres' ? postgres.uri() : postgres.uri('postgres', 'operator', 'op');
    const target = connectionTarget({ spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'x' } } }, secret: { data: { uri }, annotations: {}, resourceVersion: '' }, secretName: 'x' });
    session = await openSession(target, signal());
    const facts = await session.exclusively((query) => readFacts(query, target), signal());
    const randomness = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
    probe = createProbe({ session, facts, randomness });
    const { claims } = target;
    database = { ...createPolicyStore({ session, clock: systemClock, claims }), ...createPolicyChecks({ session, probe, claims }) };
    await database.install(signal());
  });
  afterAll(async () => {
    await session?.close();
    await postgres?.stop();
  });

  async function run(rules: Rules, tests: readonly PolicyTest[], when: 'Fixture' | 'Live' = 'Fixture'): Promise<readonly TestOutcome[]> {
    const spec: RowPolicySpec = { databaseRef: { name: 'db' }, target: { schema: 'public', tables: ['orders'] }, rules };
    const desired = desiredFrom({ namespace: 'shop', name: 'orders' }, spec, noNeighbours);
    const tables = [...desired.tables.map((each) => each.table), ...membershipTables(desired)];
    const observation = await database.observe({ owner: desired.owner, tables, roles: rolesOf(desired) }, signal());
    const request = { tests, schema: 'public', desired, observation };
    return when === 'Fixture' ? database.runFixtureTests(request, signal()) : database.runLiveTests(request, signal());
  }

  async function passes(rules: Rules, one: Omit<PolicyTest, 'name'>, when: 'Fixture' | 'Live' = 'Fixture'): Promise<boolean> {
    const [outcome] = await run(rules, [{ name: 'it', ...one }], when);
    expect(outcome?.message ?? '').not.toContain('secret row');
    return outcome?.passed ?? false;
  }

  const catalog = () =>
    withClient(postgres.uri(), async (client) => {
      const { rows: found } = await client.query(`select (select count(*) from pg_namespace where nspname like 'rowseal_test%')::int as schemas, (select count(*) from public.orders)::int as orders`);
      return found[0] as { schemas: number; orders: number };
    });

  test('visible: passes on exactly the rows, fails on fewer, more or others, whatever the fixture holds', async () => {
    const fixture = { orders: rows };
    const visible = (...expected: Record<string, string | number | null>[]) => passes(tenantRule, { fixture, as: asAcme, expect: { table: 'orders', visible: expected } });
    expect(await visible({ id: 1 })).toBe(true);
    expect(await visible({ id: '01', price: '1.5' })).toBe(true);
    expect(await visible({ id: 2 })).toBe(false);
    expect(await visible()).toBe(false);
    expect(await visible({ id: 1 }, { id: 1 })).toBe(false);
    expect(await passes(tenantRule, { fixture, as: { role: 'app', claims: { tenant_id: rows[2]?.tenant_id ?? '' } }, expect: { table: 'orders', visible: [{ id: 3 }] } })).toBe(true);
    expect(await passes(tenantRule, { fixture, as: { role: 'app' }, expect: { table: 'orders', visible: [] } })).toBe(true);
    expect(await passes(tenantRule, { fixture, as: { role: 'other', claims: { tenant_id: 'acme' } }, expect: { table: 'orders', visible: [] } })).toBe(true);
    expect(await catalog()).toEqual({ schemas: 0, orders: 3 });
  });

  test('visible: rows that write different columns are paired as a whole', async () => {
    const fixture = { orders: [{ id: 1, tenant_id: 'acme' }, { id: 2, tenant_id: 'acme' }] };
    expect(await passes(tenantRule, { fixture, as: asAcme, expect: { table: 'orders', visible: [{ tenant_id: 'acme' }, { id: 1 }] } })).toBe(true);
    expect(await passes(tenantRule, { fixture, as: asAcme, expect: { table: 'orders', visible: [{ id: 1 }, { id: 1, tenant_id: 'acme' }] } })).toBe(false);
  });

  test('long values are compared, too', async () => {
    const long = (last: string) => ({ id: 1, tenant_id: 'acme', extra: `${'x'.repeat(1000)}${last}` });
    const compare = (last: string) => passes(tenantRule, { fixture: { orders: [long('a')] }, as: asAcme, expect: { table: 'orders', visible: [long(last)] } });
    expect([await compare('a'), await compare('b')]).toEqual([true, false]);
  });

  test('count and denied: pass and fail', async () => {
    const fixture = { orders: rows };
    expect(await passes(tenantRule, { fixture, as: asAcme, expect: { table: 'orders', count: 1 } })).toBe(true);
    expect(await passes(tenantRule, { fixture, as: asAcme, expect: { table: 'orders', count: 2 } })).toBe(false);
    const denied = (row: Record<string, string | number | null>) => passes(tenantRule, { fixture, as: asAcme, expect: { denied: { command: 'Insert', table: 'orders', row } } });
    expect(await denied({ id: 9, tenant_id: 'globex' })).toBe(true);
    expect(await denied({ id: 9, tenant_id: 'acme' })).toBe(false);
    // Another error is no denial.
    expect(await denied({ id: 'nine', tenant_id: 'globex' })).toBe(false);
    expect(await denied({ id: 9, tenant_id: 'x'.repeat(41) })).toBe(false);
    const written = (command: 'Update' | 'Delete', over: { row?: Row; where?: Row }) => passes(tenantRule, { fixture, as: asAcme, expect: { denied: { command, table: 'orders', ...over } } });
    // Refused by the check, and touching no row; not where a row of one's own is changed.
    expect(await written('Update', { row: { tenant_id: 'globex' } })).toBe(true);
    expect(await written('Update', { row: { price: 9 }, where: { id: '02' } })).toBe(true);
    expect(await written('Update', { row: { price: 9 }, where: { price: null } })).toBe(true);
    expect(await written('Update', { row: { price: 9 } })).toBe(false);
    expect(await written('Update', { row: { price: '1.50' }, where: { price: '1.5' } })).toBe(false);
    expect(await written('Delete', { where: { id: 2 } })).toBe(true);
    expect(await written('Delete', {})).toBe(false);
    expect(await written('Delete', { where: { id: 'two' } })).toBe(false);
    expect(await written('Update', { row: { nope: 1 } })).toBe(false);
    expect(await catalog()).toEqual({ schemas: 0, orders: 3 });
  });

  test('membership works on copies, also where the looked-up table is empty', async () => {
    const fixture = { orders: rows, members: [{ user_id: 'ann', tenant_id: 'globex' }] };
    expect(await passes(memberRule, { fixture, as: { role: 'app', claims: { sub: 'ann' } }, expect: { table: 'orders', visible: [{ id: 2 }] } })).toBe(true);
    expect(await passes(memberRule, { fixture: { orders: rows }, as: { role: 'app', claims: { sub: 'ann' } }, expect: { table: 'orders', count: 0 } })).toBe(true);
  });

  test('a test that cannot be run fails with its reason', async () => {
    const outcomes = await run(tenantRule, [
      { name: 'column', fixture: { orders: [{ nope: 1 }] }, as: asAcme, expect: { table: 'orders', count: 0 } },
      { name: 'table', fixture: { treasure: [] }, as: asAcme, expect: { table: 'orders', count: 0 } },
      { name: 'public', fixture: {}, as: { role: 'PUBLIC' }, expect: { table: 'orders', count: 0 } },
      { name: 'absent', fixture: {}, as: { role: 'absent' }, expect: { table: 'orders', count: 0 } },
      { name: 'superuser', fixture: {}, as: { role: 'postgres' }, expect: { table: 'orders', count: 0 } },
      { name: 'bypass', fixture: {}, as: { role: 'strong' }, expect: { table: 'orders', count: 0 } },
      { name: 'climber', fixture: {}, as: { role: 'climber' }, expect: { table: 'orders', count: 0 } },
      { name: 'operator', fixture: {}, as: { role: 'operator' }, expect: { table: 'orders', count: 0 } },
    ]);
    expect(outcomes.map((outcome) => outcome.passed)).toEqual(outcomes.map(() => false));
    for (const outcome of outcomes) expect(outcome.message).toBeTruthy();
  });

  test('live: reads the real tables as the role, after the apply', async () => {
    const spec: RowPolicySpec = { databaseRef: { name: 'db' }, target: { schema: 'public', tables: ['orders'] }, rules: tenantRule };
    const desired = desiredFrom({ namespace: 'shop', name: 'orders' }, spec, noNeighbours);
    const observation = await database.observe({ owner: desired.owner, tables: desired.tables.map((each) => each.table), roles: ['app'] }, signal());
    expect(await database.apply(plan(database.compile(desired, observation), observation), signal())).toBe('Applied');
    expect(await passes(tenantRule, { as: asAcme, expect: { table: 'orders', count: 2 } }, 'Live')).toBe(true);
    expect(await passes(tenantRule, { as: asAcme, expect: { table: 'orders', visible: [{ id: 10 }, { id: 12 }] } }, 'Live')).toBe(true);
    expect(await passes(tenantRule, { as: asAcme, expect: { table: 'orders', count: 3 } }, 'Live')).toBe(false);
    expect(await passes(tenantRule, { as: { role: 'other' }, expect: { table: 'orders', count: 0 } }, 'Live')).toBe(false);
  });

  test('a predicate that steps out of its role reaches the probe, which may read nothing', async () => {
    // As if the list had admitted it: runFixtureTests does not ask checkSql, the reconciler does before.
    const stepOut = `(select set_config('role', 'none', true)) is not null`;
    const fixture = { orders: [{ id: 1, tenant_id: 'acme' }] };
    // A table that the predicate names itself is a copy; text that is run as SQL would reach the real one.
    const reads = (table: string) => passes(sqlRule(`${stepOut} and query_to_xml('select count(*) from ${table}', true, true, '') is not null`), { fixture, as: asAcme, expect: { table: 'orders', count: 1 } });
    expect(await reads('pg_catalog.pg_class')).toBe(true);
    expect(await reads('public.treasure')).toBe(false);
    expect(await reads('public.orders')).toBe(false);
    // Privileges and policies were settled for the tested role when the statement was planned: it counts what app may see, and that is the copy.
    const counts = (count: number) => passes(sqlRule(`${stepOut} and (select count(*) from public.members) = ${count}`), { fixture: { ...fixture, members: [{}, {}] }, as: asAcme, expect: { table: 'orders', count: 1 } });
    expect([await counts(2), await counts(3)]).toEqual([true, false]);
    expect(await reads('pg_catalog.pg_authid')).toBe(false);
    const becomes = (role: string) => passes(sqlRule(`(select set_config('role', '${role}', true)) = '${role}'`), { fixture, as: asAcme, expect: { table: 'orders', count: 1 } });
    expect(await becomes('postgres')).toBe(false);
    expect(await becomes('operator')).toBe(false);
    expect(await becomes('owner')).toBe(false);
    const who = `(select current_setting('session_authorization') || set_config('role', 'none', true) || current_user::text) like 'rowseal_probe%rowseal_probe%'`;
    expect(await passes(sqlRule(who), { fixture, as: asAcme, expect: { table: 'orders', count: 1 } })).toBe(true);
  });

  test('a predicate that never ends is ended', async () => {
    const [outcome] = await run(sqlRule('(select pg_sleep(60)) is null'), [{ name: 'sleeps', fixture: { orders: [{ id: 1, tenant_id: 'acme' }] }, as: asAcme, expect: { table: 'orders', count: 1 } }]);
    expect(outcome?.passed).toBe(false);
    expect(outcome?.message).toMatch(/5 s/);
  });

  test('the probe is a member of the tested roles only, inherits none, and is retired on close', async () => {
    const roleOf = () =>
      withClient(postgres.uri(), async (client) => {
        const { rows: found } = await client.query(
          `select p.rolinherit, p.rolsuper, p.rolbypassrls, p.rolcreaterole, p.rolcanlogin, a.rolpassword like 'SCRAM-SHA-256$%' as scram,
                  coalesce(array_agg(g.rolname::text order by 1) filter (where g.oid is not null), '{}') as member,
                  coalesce(bool_or(pg_has_role(p.oid, g.oid, 'USAGE')), false) as inherits
             from pg_roles p join pg_authid a on a.oid = p.oid left join pg_auth_members m on m.member = p.oid left join pg_roles g on g.oid = m.roleid
            where p.rolname like 'rowseal_probe%' group by 1, 2, 3, 4, 5, 6`,
        );
        return found[0] as Record<string, unknown>;
      });
    await probe.use(['app', 'other'], async () => undefined, signal());
    expect(await roleOf()).toMatchObject({ rolinherit: false, rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcanlogin: true, scram: true, inherits: false });
    expect([...((await roleOf())['member'] as string[])].sort()).toEqual(['app', 'other']);
    await probe.close(signal());
    expect(await roleOf()).toMatchObject({ rolcanlogin: false, scram: null, member: [] });
    // And it comes back when it is needed.
    expect(await passes(tenantRule, { fixture: { orders: rows }, as: asAcme, expect: { table: 'orders', count: 1 } })).toBe(true);
  });
});

describe('without the right to make a probe role', () => {
  test('tests are refused, saying which SQL helps', async () => {
    const postgres = await startPostgres();
    await withClient(postgres.uri(), (client) => client.query(`create role poor login password 'x'; create role app`));
    const target = connectionTarget({
      spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'x' } } },
      secret: { data: { uri: postgres.uri('postgres', 'poor', 'x') }, annotations: {}, resourceVersion: '' },
      secretName: 'x',
    });
    const session = await openSession(target, signal());
    const facts = await session.exclusively((query) => readFacts(query, target), signal());
    const probe = createProbe({ session, facts, randomness: { bytes: (length) => new Uint8Array(randomBytes(length)) } });
    await expect(probe.use(['app'], async () => undefined, signal())).rejects.toMatchObject({ code: 'DatabasePrivilege', next: expect.stringMatching(/CREATEROLE.*GRANT "app" TO "poor" WITH ADMIN OPTION/) });
    await session.close();
    await postgres.stop();
  });
});

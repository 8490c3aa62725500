// Injection, the whole way from a manifest to the catalog: hostile names, literals, claims, rows and predicates are inert or refused.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Enforcing, seen, startEnforcing, tenantRule } from '../reconcile/enforcing.ts';

let postgres: Postgres;
let admin: pg.Client;
let shop: Enforcing;

beforeAll(async () => {
  postgres = await startPostgres();
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await admin.query(`create role app; create table canary (secret text); insert into canary values ('intact'); revoke all on canary from public`);
});
afterAll(async () => {
  await admin?.end();
  await postgres?.stop();
});
beforeEach(async () => {
  await admin.query(`drop table if exists orders; create table orders (id int primary key, tenant_id text); insert into orders values (1, 'a'), (2, 'b'); grant all on orders to app`);
  shop = await startEnforcing(postgres);
  return async () => {
    await shop.close();
    const { rows } = await admin.query(`select (select string_agg(secret, ',') from canary) as canary, (select rolsuper from pg_roles where rolname = 'app') as strong`);
    expect(rows).toEqual([{ canary: 'intact', strong: false }]);
  };
});

const payload = `x'; update canary set secret = 'gone'; alter role app superuser; --`;
const nasty = [`a'b"c`, `"); drop table canary; --`, `'); drop table canary; --`, '*/ drop table canary; /*', '$rowseal$; drop table canary; $$', String.raw`\'; drop table canary; --`, 'ключ ☃ 名', 'é'.repeat(31), 'n'.repeat(63), 'PUBLIC x', '-- c', 'a\nb', '%s %I %L $1', 'select'];

async function settled(...names: readonly string[]): Promise<void> {
  await shop.reconcile(...names);
  shop.settle();
  await shop.reconcile(...names);
}

const policies = async (table: string) => (await admin.query<{ policyname: string }>('select policyname from pg_policies where tablename = $1', [table])).rows.map(({ policyname }) => policyname);

describe('a name', () => {
  it.each(nasty)('as table, column, role, policy, literal, claim and row: %j', async (name) => {
    const quoted = pg.escapeIdentifier(name);
    await admin.query(`create table ${quoted} (${quoted} text, id int); create role ${quoted}; grant all on ${quoted} to ${quoted}`);
    await admin.query(`insert into ${quoted} values ($1, 1), ('other', 2)`, [name]);
    const rules: RowPolicySpec['rules'] = [
      { name: 'one', policyName: name, roles: [name], commands: ['Select'], using: { all: [{ column: name, op: 'Eq', value: name }, { column: name, op: 'In', claim: [name] }, { column: name, member: { table: name, column: name, where: { all: [{ column: name, op: 'Eq', claim: [name, '0'] }] } } }] } },
      { name: 'two', roles: [name], commands: ['Insert'], check: { all: [{ column: name, op: 'Eq', value: name }] } },
    ];
    const fixture = { [name]: [{ [name]: name, id: 1 }, { [name]: payload, id: 2 }] };
    const as = { role: name, claims: { [name]: [name, payload] } };
    const tests: RowPolicySpec['tests'] = [
      { name, fixture, as, expect: { table: name, visible: [{ id: 1 }] } },
      { name: payload, fixture, as, expect: { denied: { command: 'Insert', table: name, row: { [name]: payload, id: 3 } } } },
      { name: 'live', as, expect: { table: name, visible: [{ id: 1, [name]: name }] } },
    ];
    shop.declare('nasty', { target: { schema: 'public', tables: [name] }, rules, tests, deletionPolicy: 'Restore' });
    await settled('nasty');
    expect([shop.ready('nasty'), shop.message('nasty')]).toEqual(['True Enforced', expect.any(String)]);
    expect([...(await policies(name))].sort()).toEqual([name, 'rowseal_shop_nasty_two'].sort());
    expect(await seen(admin, name, as.claims, `select id from ${quoted}`)).toEqual([1]);
    shop.remove('nasty');
    await settled('nasty');
    expect(await policies(name)).toEqual([]);
    await admin.query(`drop table ${quoted}; drop owned by ${quoted}; drop role ${quoted}`);
  });

  it('that PostgreSQL would cut is refused, and nothing of its rule is made', async () => {
    shop.declare('orders', { rules: [{ ...tenantRule, policyName: 'é'.repeat(32) }] });
    await settled('orders');
    expect(shop.ready('orders')).toBe('False InvalidPredicate');
    expect(await policies('orders')).toEqual([]);
  });
});

describe('a sql predicate', () => {
  const hostile = [
    'true; drop table canary',
    'true) with check (true); drop table canary; --',
    'true) or (true',
    '(select true) /* */ ; select 1',
    `set_config('role', 'none', true) is not null`,
    `query_to_xml('update canary set secret = 1', true, true, '') is not null`,
    `dblink('host=127.0.0.1', 'drop table canary') is not null`,
    `public.dblink_exec('', '') is not null`,
    `lo_import('/etc/passwd') > 0`,
    `lo_export(1, '/tmp/x') = 1`,
    `pg_logical_emit_message(true, 'rowseal', 'forged') is not null`,
    `pg_read_file('PG_VERSION') is not null`,
    `exists (select 1 from pg_catalog.pg_authid where pg_catalog.pg_sleep(1) is null)`,
    `exists (with gone as (delete from public.canary returning 1) select 1 from gone)`,
  ];
  it.each(hostile)('is refused where SQL is granted, and needs the grant: %s', async (sql) => {
    shop.declare('orders', { rules: [{ ...tenantRule, using: { sql } }] });
    await settled('orders');
    expect(shop.ready('orders')).toBe('False NotGranted');
    shop.connection({ grants: [{ name: 'all', namespaces: { from: 'Same' }, rights: ['SQL', 'Widen'] }] });
    await settled('orders');
    expect([shop.ready('orders'), await policies('orders')]).toEqual(['False InvalidPredicate', []]);
  });
});

describe('rows of tests', () => {
  it('in every place hold only text', async () => {
    const fixture = { orders: [{ id: 1, tenant_id: payload }, { id: 2, tenant_id: 'b' }] };
    const as = { role: 'app', claims: { t: payload } };
    const tests: RowPolicySpec['tests'] = [
      { name: 'visible', fixture, as, expect: { table: 'orders', visible: [{ id: 1, tenant_id: payload }] } },
      { name: 'denied', fixture, as, expect: { denied: { command: 'Insert', table: 'orders', row: { id: 3, tenant_id: `${payload} ` } } } },
      { name: 'update', fixture, as, expect: { denied: { command: 'Update', table: 'orders', row: { tenant_id: `'||pg_sleep(9)||'` }, where: { id: '2' } } } },
    ];
    shop.declare('orders', { tests });
    await settled('orders');
    expect([shop.ready('orders'), shop.status('orders').tests]).toEqual(['True Enforced', tests.map(({ name }) => ({ name, passed: true }))]);
    shop.declare('orders', { tests: [{ name: 'column', fixture: { orders: [{ [`id) values (1); drop table canary; --`]: 1 }] }, as, expect: { table: 'orders', count: 0 } }] });
    await settled('orders');
    expect(shop.ready('orders')).toBe('False TestFailed');
  });
});

describe('a namespace without a grant', () => {
  it('gets nothing: no policy, no test on the data, no word about its rows', async () => {
    shop.connection({ grants: [{ name: 'others', namespaces: { from: 'Selector', selector: { matchLabels: { team: 'orders' } } } }] });
    await admin.query(`create table theirs (id int, tenant_id text); insert into theirs values (1, 'a')`);
    const tests: RowPolicySpec['tests'] = [{ name: 'count', as: { role: 'app', claims: { t: 'a' } }, expect: { table: 'theirs', count: 1 } }];
    shop.declare('greedy', { target: { schema: 'public', tables: ['theirs'] }, tests });
    await settled('greedy');
    expect([shop.ready('greedy'), shop.status('greedy').tests, shop.status('greedy').plan, await policies('theirs')]).toEqual(['False NotGranted', undefined, undefined, []]);
    expect((await admin.query(`select relrowsecurity from pg_class where relname = 'theirs'`)).rows).toEqual([{ relrowsecurity: false }]);
    expect((await admin.query(`select count(*)::int as n from rowseal.guarded where owner = 'shop/greedy'`)).rows).toEqual([{ n: 0 }]);
  });
});

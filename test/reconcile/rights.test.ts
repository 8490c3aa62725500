// Attempts to widen without the right or the approval: by what leaves a target or a rule, by lookups, by repairs. On a real PostgreSQL.
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Enforcing, seen, startEnforcing, tenantRule } from './enforcing.ts';

let postgres: Postgres;
let admin: pg.Client;
let shop: Enforcing;

beforeAll(async () => {
  postgres = await startPostgres();
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await admin.query('create role app; create role partner; grant usage on schema public to public');
});
afterAll(async () => {
  await admin?.end();
  await postgres?.stop();
});
beforeEach(async () => {
  await admin.query(`drop schema if exists rowseal cascade; drop schema if exists side cascade; drop table if exists orders, invoices, members cascade;
    create table orders (id int primary key, tenant_id text, area text); insert into orders values (1, 'a', 'x'), (2, 'b', 'y'); grant all on orders to app, partner;
    create table invoices (id int primary key, tenant_id text, area text); insert into invoices values (1, 'a', 'x'), (2, 'b', 'y'); grant all on invoices to app, partner;
    create table members (team text, sub text); insert into members values ('x', 'u1'), ('y', 'u2')`);
  shop = await startEnforcing(postgres);
});
afterEach(() => shop?.close());

const policies = async (table = 'orders') => (await admin.query<{ name: string }>(`select policyname::text as name from pg_policies where tablename = $1 order by 1`, [table])).rows.map(({ name }) => name);
const area = { name: 'area', as: 'Restrictive' as const, roles: ['app'], commands: ['All' as const], using: { all: [{ column: 'area', op: 'Eq' as const, value: 'x' }] } };
const until = async (...names: string[]) => {
  await shop.reconcile(...names);
  shop.settle();
  await shop.reconcile(...names);
};

describe('the right to widen', () => {
  it('is asked for the table that leaves the target', async () => {
    shop.connection({ grants: [{ name: 'both', namespaces: { from: 'Same' }, tables: ['orders'] }, { name: 'wide', namespaces: { from: 'Same' }, tables: ['invoices'], rights: ['Widen'] }] });
    shop.declare('one', { rules: [tenantRule, area] });
    await until('one');
    expect(await policies()).toEqual(['rowseal_shop_one_area', 'rowseal_shop_one_tenant']);
    shop.declare('one', { rules: [tenantRule, area], target: { schema: 'public', tables: ['invoices'] } });
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_area');
    expect(shop.ready('one')).toBe('False NotGranted');
  });
  it('is asked for the table even where nothing is left of the target', async () => {
    shop.connection({ grants: [{ name: 'both', namespaces: { from: 'Same' } }] });
    shop.declare('one', { rules: [tenantRule, area] });
    await until('one');
    shop.declare('one', { rules: [tenantRule, area], target: { schema: 'public', selector: { namePattern: 'nothing_*' } } });
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_area');
    expect(shop.ready('one')).toBe('False NotGranted');
  });
  it('is asked for the roles of rules that go', async () => {
    shop.connection({ grants: [{ name: 'app', namespaces: { from: 'Same' }, roles: ['app', 'partner'] }, { name: 'partner', namespaces: { from: 'Same' }, roles: ['partner'], rights: ['Widen'] }] });
    const partner = { ...tenantRule, name: 'partner', roles: ['partner'] };
    shop.declare('one', { rules: [partner, area] });
    await until('one');
    shop.declare('one', { rules: [partner] });
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_area');
    expect(shop.ready('one')).toBe('False NotGranted');
  });
});

describe('a lookup', () => {
  it('needs the grant for its own roles', async () => {
    shop.connection({ grants: [{ name: 'a', namespaces: { from: 'Same' }, tables: ['orders'], rights: ['Widen'] }, { name: 'b', namespaces: { from: 'Same' }, tables: ['members'], roles: ['app'] }] });
    shop.declare('one', { rules: [{ name: 'm', roles: ['partner'], commands: ['All'], using: { all: [{ column: 'area', member: { table: 'members', column: 'team' } }] } }] });
    await until('one');
    expect(shop.ready('one')).toBe('False NotGranted');
  });
});

describe('a repair', () => {
  const wide = { name: 'wide', roles: ['app'], commands: ['Select' as const], using: { all: [{ column: 'id', op: 'Gt' as const, value: '0' }] } };
  it('is none of a rule that was given up while its policy was gone', async () => {
    shop.declare('one', { rules: [tenantRule, wide] });
    await until('one');
    expect(shop.ready('one')).toBe('True Enforced');
    await admin.query('drop policy rowseal_shop_one_wide on orders');
    shop.declare('one', { rules: [tenantRule] });
    await until('one');
    expect(shop.ready('one')).toBe('True Enforced');
    shop.declare('one', { rules: [tenantRule, wide], approval: 'WhenWidening' });
    await until('one');
    expect(await policies()).not.toContain('rowseal_shop_one_wide');
  });
  it('asks nobody, though another RowPolicy was applied meanwhile', async () => {
    shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    shop.declare('two', { rules: [area] });
    await until('two');
    await admin.query('drop policy rowseal_shop_one_tenant on orders');
    shop.declare('two', { rules: [{ ...area, using: { all: [{ column: 'area', op: 'Eq', value: 'y' }] } }] });
    await until('two');
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_tenant');
  });
});

describe('a new partition', () => {
  it('lets no rule in that waits everywhere else', async () => {
    await admin.query(`drop table orders; create table orders (id int, tenant_id text, area text) partition by list (area); create table orders_x partition of orders for values in ('x'); grant all on orders to app`);
    shop.declare('one', {});
    await until('one');
    const wide = { name: 'wide', roles: ['app'], commands: ['Select' as const], using: { all: [{ column: 'id', op: 'Gt' as const, value: '0' }] } };
    shop.declare('two', { approval: 'WhenWidening', rules: [wide] });
    await until('two');
    expect(shop.ready('two')).toBe('False ApprovalRequired');
    await admin.query(`create table orders_y partition of orders for values in ('y')`);
    await until();
    expect(await policies('orders_y')).toEqual(['rowseal_shop_one_tenant']);
    expect(shop.ready('two')).toBe('False ApprovalRequired');
  });
});

describe('an approval', () => {
  const planted = { ...tenantRule, using: { all: [{ column: 'id', op: 'Gt' as const, value: '0' }] }, verbatim: { using: '(id > 0)' } };
  it.each([
    ['an expression', 'using (id > 0)', planted],
    ['roles', 'to app, partner', { ...tenantRule, roles: ['app', 'partner'] }],
  ])('is asked for, where the manifest follows %s that somebody put into our own policy', async (_, change, rule) => {
    shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    expect(shop.ready('one')).toBe('True Enforced');
    await admin.query(`alter policy rowseal_shop_one_tenant on orders ${change}`);
    shop.declare('one', { approval: 'WhenWidening', rules: [rule] });
    await until('one');
    expect(shop.ready('one')).toBe('False ApprovalRequired');
    shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    expect(shop.ready('one')).toBe('True Enforced');
    expect(await seen(admin, 'app', { t: 'a' }, 'select id from orders')).toEqual([1]);
    expect(await seen(admin, 'partner', { t: 'a' }, 'select id from orders')).toEqual([]);
  });
  it('is not asked for, where the manifest follows a role that somebody took out', async () => {
    shop.declare('one', { rules: [{ ...tenantRule, roles: ['app', 'partner'] }] });
    await until('one');
    await admin.query('alter policy rowseal_shop_one_tenant on orders to app');
    shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    expect(shop.ready('one')).toBe('True Enforced');
  });
});

describe('FailClosed', () => {
  it.each(['drop policy rowseal_shop_one_area on orders', 'alter policy rowseal_shop_one_area on orders to partner'])('keeps out whom our policies held back until a moment ago: %s', async (drift) => {
    await admin.query('create policy all_of_it on orders using (true)');
    shop.declare('one', { rules: [area], deletionPolicy: 'FailClosed' });
    await until('one');
    expect(await seen(admin, 'app', {}, 'select id from orders')).toEqual([1]);
    await admin.query(`${drift}; alter table orders no force row level security`);
    shop.remove('one');
    await until('one');
    expect(await seen(admin, 'app', {}, 'select id from orders')).toEqual([]);
    expect((await admin.query(`select relforcerowsecurity as forced from pg_class where relname = 'orders'`)).rows).toEqual([{ forced: true }]);
    expect(shop.cluster.get('RowPolicy', { namespace: 'shop', name: 'one' })).toBeUndefined();
  });
});

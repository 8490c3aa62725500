// Attempts to widen without the right or the approval: by what leaves a target or a rule, by lookups, by repairs. On a real PostgreSQL.
import { describe, expect, it } from 'vitest';
import { seen, tenantRule, useShop } from './enforcing.ts';

const at = useShop({
  once: 'create role app; create role partner; grant usage on schema public to public',
  each: `drop schema if exists side cascade; drop table if exists orders, invoices, members cascade;
    create table orders (id int primary key, tenant_id text, area text); insert into orders values (1, 'a', 'x'), (2, 'b', 'y'); grant all on orders to app, partner;
    create table invoices (id int primary key, tenant_id text, area text); insert into invoices values (1, 'a', 'x'), (2, 'b', 'y'); grant all on invoices to app, partner;
    create table members (team text, sub text); insert into members values ('x', 'u1'), ('y', 'u2')`,
});

const policies = async (table = 'orders') => (await at.admin.query<{ name: string }>(`select policyname::text as name from pg_policies where tablename = $1 order by 1`, [table])).rows.map(({ name }) => name);
const area = { name: 'area', as: 'Restrictive' as const, roles: ['app'], commands: ['All' as const], using: { all: [{ column: 'area', op: 'Eq' as const, value: 'x' }] } };
const until = async (...names: string[]) => {
  await at.shop.reconcile(...names);
  at.shop.settle();
  await at.shop.reconcile(...names);
};

describe('the right to widen', () => {
  it('is asked for the table that leaves the target', async () => {
    at.shop.connection({ grants: [{ name: 'both', namespaces: { from: 'Same' }, tables: ['orders'] }, { name: 'wide', namespaces: { from: 'Same' }, tables: ['invoices'], rights: ['Widen'] }] });
    at.shop.declare('one', { rules: [tenantRule, area] });
    await until('one');
    expect(await policies()).toEqual(['rowseal_shop_one_area', 'rowseal_shop_one_tenant']);
    at.shop.declare('one', { rules: [tenantRule, area], target: { schema: 'public', tables: ['invoices'] } });
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_area');
    expect(at.shop.ready('one')).toBe('False NotGranted');
  });
  it('is asked for the table even where nothing is left of the target', async () => {
    at.shop.connection({ grants: [{ name: 'both', namespaces: { from: 'Same' } }] });
    at.shop.declare('one', { rules: [tenantRule, area] });
    await until('one');
    at.shop.declare('one', { rules: [tenantRule, area], target: { schema: 'public', selector: { namePattern: 'nothing_*' } } });
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_area');
    expect(at.shop.ready('one')).toBe('False NotGranted');
  });
  it('is asked for the roles of rules that go', async () => {
    at.shop.connection({ grants: [{ name: 'app', namespaces: { from: 'Same' }, roles: ['app', 'partner'] }, { name: 'partner', namespaces: { from: 'Same' }, roles: ['partner'], rights: ['Widen'] }] });
    const partner = { ...tenantRule, name: 'partner', roles: ['partner'] };
    at.shop.declare('one', { rules: [partner, area] });
    await until('one');
    at.shop.declare('one', { rules: [partner] });
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_area');
    expect(at.shop.ready('one')).toBe('False NotGranted');
  });
});

describe('a lookup', () => {
  it('needs the grant for its own roles', async () => {
    at.shop.connection({ grants: [{ name: 'a', namespaces: { from: 'Same' }, tables: ['orders'], rights: ['Widen'] }, { name: 'b', namespaces: { from: 'Same' }, tables: ['members'], roles: ['app'] }] });
    at.shop.declare('one', { rules: [{ name: 'm', roles: ['partner'], commands: ['All'], using: { all: [{ column: 'area', member: { table: 'members', column: 'team' } }] } }] });
    await until('one');
    expect(at.shop.ready('one')).toBe('False NotGranted');
  });
});

describe('a repair', () => {
  const wide = { name: 'wide', roles: ['app'], commands: ['Select' as const], using: { all: [{ column: 'id', op: 'Gt' as const, value: '0' }] } };
  it('is none of a rule that was given up while its policy was gone', async () => {
    at.shop.declare('one', { rules: [tenantRule, wide] });
    await until('one');
    expect(at.shop.ready('one')).toBe('True Enforced');
    await at.admin.query('drop policy rowseal_shop_one_wide on orders');
    at.shop.declare('one', { rules: [tenantRule] });
    await until('one');
    expect(at.shop.ready('one')).toBe('True Enforced');
    at.shop.declare('one', { rules: [tenantRule, wide], approval: 'WhenWidening' });
    await until('one');
    expect(await policies()).not.toContain('rowseal_shop_one_wide');
  });
  it('asks nobody, though another RowPolicy was applied meanwhile', async () => {
    at.shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    at.shop.declare('two', { rules: [area] });
    await until('two');
    await at.admin.query('drop policy rowseal_shop_one_tenant on orders');
    at.shop.declare('two', { rules: [{ ...area, using: { all: [{ column: 'area', op: 'Eq', value: 'y' }] } }] });
    await until('two');
    await until('one');
    expect(await policies()).toContain('rowseal_shop_one_tenant');
  });
});

describe('a new partition', () => {
  it('lets no rule in that waits everywhere else', async () => {
    await at.admin.query(`drop table orders; create table orders (id int, tenant_id text, area text) partition by list (area); create table orders_x partition of orders for values in ('x'); grant all on orders to app`);
    at.shop.declare('one', {});
    await until('one');
    const wide = { name: 'wide', roles: ['app'], commands: ['Select' as const], using: { all: [{ column: 'id', op: 'Gt' as const, value: '0' }] } };
    at.shop.declare('two', { approval: 'WhenWidening', rules: [wide] });
    await until('two');
    expect(at.shop.ready('two')).toBe('False ApprovalRequired');
    await at.admin.query(`create table orders_y partition of orders for values in ('y')`);
    await until();
    expect(await policies('orders_y')).toEqual(['rowseal_shop_one_tenant']);
    expect(at.shop.ready('two')).toBe('False ApprovalRequired');
  });
});

describe('an approval', () => {
  const planted = { ...tenantRule, using: { all: [{ column: 'id', op: 'Gt' as const, value: '0' }] }, verbatim: { using: '(id > 0)' } };
  it.each([
    ['an expression', 'using (id > 0)', planted],
    ['roles', 'to app, partner', { ...tenantRule, roles: ['app', 'partner'] }],
  ])('is asked for, where the manifest follows %s that somebody put into our own policy', async (_, change, rule) => {
    at.shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    expect(at.shop.ready('one')).toBe('True Enforced');
    await at.admin.query(`alter policy rowseal_shop_one_tenant on orders ${change}`);
    at.shop.declare('one', { approval: 'WhenWidening', rules: [rule] });
    await until('one');
    expect(at.shop.ready('one')).toBe('False ApprovalRequired');
    at.shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    expect(at.shop.ready('one')).toBe('True Enforced');
    expect(await seen(at.admin, 'app', { t: 'a' }, 'select id from orders')).toEqual([1]);
    expect(await seen(at.admin, 'partner', { t: 'a' }, 'select id from orders')).toEqual([]);
  });
  it('is not asked for, where the manifest follows a role that somebody took out', async () => {
    at.shop.declare('one', { rules: [{ ...tenantRule, roles: ['app', 'partner'] }] });
    await until('one');
    await at.admin.query('alter policy rowseal_shop_one_tenant on orders to app');
    at.shop.declare('one', { approval: 'WhenWidening' });
    await until('one');
    expect(at.shop.ready('one')).toBe('True Enforced');
  });
});

describe('FailClosed', () => {
  it.each(['drop policy rowseal_shop_one_area on orders', 'alter policy rowseal_shop_one_area on orders to partner'])('keeps out whom our policies held back until a moment ago: %s', async (drift) => {
    await at.admin.query('create policy all_of_it on orders using (true)');
    at.shop.declare('one', { rules: [area], deletionPolicy: 'FailClosed' });
    await until('one');
    expect(await seen(at.admin, 'app', {}, 'select id from orders')).toEqual([1]);
    await at.admin.query(`${drift}; alter table orders no force row level security`);
    at.shop.remove('one');
    await until('one');
    expect(await seen(at.admin, 'app', {}, 'select id from orders')).toEqual([]);
    expect((await at.admin.query(`select relforcerowsecurity as forced from pg_class where relname = 'orders'`)).rows).toEqual([{ forced: true }]);
    expect(at.shop.cluster.get('RowPolicy', { namespace: 'shop', name: 'one' })).toBeUndefined();
  });
});

// Several RowPolicies on one table, policies of nobody, and roles that must keep seeing everything: on a real PostgreSQL.
import { beforeEach, describe, expect, it } from 'vitest';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import { seen, tenantRule, useShop } from './enforcing.ts';

const at = useShop({
  once: 'create role app; create role support; create role migrator',
  each: `
    drop table if exists orders cascade; alter role migrator nobypassrls;
    create table orders (id int primary key, tenant_id text);
    insert into orders values (1, 'a'), (2, 'b'), (3, 'c');
    grant all on orders to app, support; grant select on orders to migrator`,
});

const visible = (role = 'app', t = 'a') => seen(at.admin, role, { t }, 'select id from orders order by id');
const policies = async () => (await at.admin.query<{ name: string }>(`select policyname as name from pg_policies where tablename = 'orders' order by 1`)).rows.map(({ name }) => name);
const only = (name: string, id: string, extra: Partial<RowPolicySpec['rules'][number]> = {}): RowPolicySpec['rules'][number] => ({ name, roles: ['app'], commands: ['Select'], using: { all: [{ column: 'id', op: 'Eq', value: id }] }, ...extra });

describe('several RowPolicies on one table', () => {
  it('are in force together, and the strictest flags win', async () => {
    at.shop.declare('one', { rowSecurity: 'Enabled' });
    at.shop.declare('two', { rules: [only('second', '2')] });
    await at.shop.reconcile();
    at.shop.settle();
    await at.shop.reconcile();
    expect([at.shop.ready('one'), at.shop.ready('two')]).toEqual(['True Enforced', 'True Enforced']);
    expect(await visible()).toEqual([1, 2]);
    const { rows } = await at.admin.query(`select relforcerowsecurity from pg_class where relname = 'orders'`);
    expect(rows).toEqual([{ relforcerowsecurity: true }]);
  });

  it('wait for each other before anything widens, while what narrows does not wait', async () => {
    at.shop.declare('one', { rules: [only('first', '1')] });
    await at.shop.reconcile();
    at.shop.settle();
    // The rule moves to another object; the old one lets go first, and nobody sees more in between.
    at.shop.declare('two', { rules: [only('first', '1')] });
    await at.shop.reconcile('two');
    expect(at.shop.ready('two')).toBe('False Settling');
    at.shop.declare('one', { rules: [only('other', '3', { as: 'Restrictive' })] });
    await at.shop.reconcile();
    expect(await visible()).toEqual([]);
    expect(await policies()).toEqual(['rowseal_shop_one_other']);
    at.shop.settle();
    await at.shop.reconcile();
    expect(await policies()).toEqual(['rowseal_shop_one_other', 'rowseal_shop_two_first']);
    expect(await visible()).toEqual([]);
  });

  it('start the wait anew whenever one of them changes or goes', async () => {
    at.shop.declare('one', {});
    at.shop.declare('two', { rules: [only('second', '2')] });
    await at.shop.reconcile();
    at.shop.settle();
    await at.shop.reconcile();
    at.shop.declare('two', { rules: [only('second', '2'), only('third', '3')] });
    at.shop.remove('one');
    await at.shop.reconcile();
    expect(at.shop.ready('two')).toBe('False Settling');
    expect(await visible()).toEqual([1, 2]);
    at.shop.settle();
    await at.shop.reconcile();
    expect(await visible()).toEqual([1, 2, 3]);
  });

  it.each<[string, Partial<RowPolicySpec>, Partial<RowPolicySpec>, string]>([
    ['one name for two policies', { rules: [only('a', '1', { policyName: 'shared' })] }, { rules: [only('b', '2', { policyName: 'shared' })] }, 'both declare the policy "shared" on public.orders'],
    ['unmanaged policies kept and removed', { unmanagedPolicies: 'Keep' }, { unmanagedPolicies: 'Remove' }, 'one removes the unmanaged policies of public.orders and the other keeps them'],
  ])('stall both, naming each other: %s', async (_what, one, two, why) => {
    at.shop.connection({ grants: [{ name: 'all', namespaces: { from: 'Same' }, rights: ['Widen', 'RemoveUnmanaged'] }] });
    at.shop.declare('one', one);
    at.shop.declare('two', two);
    await at.shop.reconcile();
    expect([at.shop.ready('one'), at.shop.ready('two')]).toEqual(['False Contradiction', 'False Contradiction']);
    expect(at.shop.message('one')).toContain(`contradicts RowPolicy shop/two: ${why}`);
    expect(at.shop.message('two')).toContain(`contradicts RowPolicy shop/one: ${why}`);
    expect(await policies()).toEqual([]);
    at.shop.remove('two');
    await at.shop.reconcile('one');
    expect(at.shop.ready('one')).toBe('True Enforced');
  });

  it('close the table for their own roles alone when one is deleted with FailClosed', async () => {
    at.shop.declare('one', { deletionPolicy: 'FailClosed' });
    at.shop.declare('two', { rules: [only('all', '3', { roles: ['app', 'support'] })] });
    await at.shop.reconcile();
    at.shop.settle();
    await at.shop.reconcile();
    at.shop.remove('one');
    await at.shop.reconcile();
    expect(await visible('app')).toEqual([]);
    expect(await visible('support')).toEqual([3]);
    await at.shop.reconcile();
    expect(await visible('app')).toEqual([]);
    expect(await policies()).toEqual(['rowseal_shop_one__closed', 'rowseal_shop_two_all']);
  });
});

describe('policies that no RowPolicy owns', () => {
  const right = { grants: [{ name: 'all', namespaces: { from: 'Same' as const }, rights: ['Widen' as const, 'RemoveUnmanaged' as const] }] };
  beforeEach(() => at.admin.query(`create policy old on orders for select to app using (id = 2); create policy wall on orders as restrictive for all to app using (id < 3)`));

  it('are kept unless the manifest removes them, which needs a right', async () => {
    at.shop.declare('one', {});
    await at.shop.reconcile();
    expect(await policies()).toEqual(['old', 'rowseal_shop_one_tenant', 'wall']);
    at.shop.declare('one', { unmanagedPolicies: 'Remove' });
    await at.shop.reconcile();
    expect(at.shop.ready('one')).toBe('False NotGranted');
    expect(at.shop.message('one')).toContain('RemoveUnmanaged');
    expect(await policies()).toHaveLength(3);
  });

  it('are removed; a restrictive one is a widening and waits', async () => {
    at.shop.connection(right);
    at.shop.declare('one', { unmanagedPolicies: 'Remove', approval: 'WhenWidening' });
    await at.admin.query('alter table orders enable row level security');
    await at.shop.reconcile();
    expect(at.shop.ready('one')).toBe('False ApprovalRequired');
    expect(at.shop.status('one').plan?.steps.map(({ sql, widening }) => [sql.split(' ').slice(0, 3).join(' '), widening])).toEqual([['create policy "rowseal_shop_one_tenant"', true], ['drop policy "wall"', true]]);
    expect(await policies()).toEqual(['wall']);
    at.shop.cluster.approve({ kind: 'Approved', digest: at.shop.status('one').plan?.digest ?? '', by: 'ann' });
    at.shop.settle();
    await at.shop.reconcile();
    expect(await policies()).toEqual(['rowseal_shop_one_tenant']);
  });

  it('are not those that another RowPolicy adopts by name', async () => {
    at.shop.connection(right);
    at.shop.declare('one', { unmanagedPolicies: 'Remove' });
    at.shop.declare('two', { rules: [only('old', '2', { policyName: 'old' })] });
    await at.shop.reconcile('one');
    expect(await policies()).toEqual(['old', 'rowseal_shop_one_tenant']);
  });
});

describe('a plan that waits', () => {
  it('says how many rows each role would gain and lose, once for a plan', async () => {
    const tests = [{ name: 'as tenant a', as: { role: 'app', claims: { t: 'a' } }, expect: { table: 'orders', count: 2 } }];
    at.shop.declare('one', { approval: 'WhenWidening' });
    await at.shop.reconcile();
    at.shop.declare('one', { approval: 'WhenWidening', rules: [tenantRule, only('second', '2')], tests });
    await at.shop.reconcile();
    expect(at.shop.ready('one')).toBe('False ApprovalRequired');
    expect(at.shop.status('one').plan?.rows).toEqual([
      { table: 'public.orders', role: 'app', gained: 1, lost: 0 },
      { table: 'public.orders', role: 'app', test: 'as tenant a', gained: 1, lost: 0 },
    ]);
    const writes = at.shop.cluster.statusWrites();
    await at.shop.reconcile();
    expect(at.shop.cluster.statusWrites()).toBe(writes);
  });
});

describe('roles that must keep seeing all rows', () => {
  it('keep a table open until they bypass row security, and the connection lists them', async () => {
    at.shop.connection({ exemptRoles: ['migrator'] });
    at.shop.declare('one', {});
    await at.shop.reconcile();
    expect(at.shop.ready('one')).toBe('False ExemptRoleBound');
    expect(at.shop.message('one')).toContain('ALTER ROLE "migrator" BYPASSRLS');
    expect(await policies()).toEqual([]);
    await at.admin.query('alter role migrator bypassrls');
    await at.shop.reconcile();
    expect(at.shop.ready('one')).toBe('True Enforced');
    // A table that is closed already stays governed, whatever becomes of the role.
    await at.admin.query('alter role migrator nobypassrls; drop policy rowseal_shop_one_tenant on orders');
    await at.shop.reconcile();
    expect(await policies()).toEqual(['rowseal_shop_one_tenant']);
  });

  it('are named by the plan where nobody declared them: whoever reads now and will see nothing', async () => {
    await at.admin.query('create role auditor in role support');
    at.shop.declare('one', { mode: 'Plan', rules: [tenantRule, only('support', '3', { roles: ['support'] })] });
    await at.shop.reconcile();
    const [enable] = at.shop.status('one').plan?.steps ?? [];
    expect(enable?.why).toContain('will see nothing: migrator');
    expect(enable?.why).not.toMatch(/app|auditor|support/);
    await at.admin.query('drop role auditor');
  });
});

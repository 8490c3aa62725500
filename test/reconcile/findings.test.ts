// Findings of a RowPolicy on a real PostgreSQL: shown by a witness, allowed with a reason, and never in the way of enforcement.
import { expect, it } from 'vitest';
import { findCondition } from '../../src/model/condition.ts';
import { seen, useShop } from './enforcing.ts';

const at = useShop({
  once: 'create role app',
  each: `
    drop table if exists orders cascade;
    create table orders (id int primary key, tenant_id text);
    create index on orders (tenant_id);
    insert into orders values (1, 'a'), (2, 'b');
    create view v_orders as select * from orders;
    grant all on orders to app; revoke truncate on orders from app; grant select on v_orders to app`,
});

const clear = () => {
  const condition = findCondition(at.shop.status('orders').conditions, 'FindingsClear');
  return `${condition?.status} ${condition?.reason}`;
};
const definerView = () => at.shop.status('orders').findings?.find(({ lint }) => lint === 'definer-view');

it('shows a leak by a witness, in a condition and an Event, and enforces all the same', async () => {
  at.shop.declare('orders', {});
  await at.shop.reconcile();
  expect([at.shop.ready('orders'), clear()]).toEqual(['True Enforced', 'False ErrorFindings']);
  expect(await seen(at.admin, 'app', { t: 'a' }, 'select id from orders')).toEqual([1]);
  expect(definerView()).toMatchObject({ severity: 'error', object: 'public.v_orders', fix: expect.stringContaining('security_invoker'), witness: expect.stringMatching(/^shown: /) });
  expect(at.shop.status('orders').findingsTotal).toBe(at.shop.status('orders').findings?.length);
  expect(at.shop.cluster.notices.filter(({ reason }) => reason === 'ErrorFindings')).toHaveLength(1);
  const writes = at.shop.cluster.statusWrites();
  await at.shop.reconcile();
  at.shop.settle();
  await at.shop.reconcile();
  expect(at.shop.cluster.statusWrites()).toBe(writes);
});

it('counts what is allowed for nothing, and shows the reason', async () => {
  at.shop.declare('orders', { allowedFindings: [{ lint: 'definer-view', object: 'public.v_orders', reason: 'support reads all of it' }] });
  await at.shop.reconcile();
  expect(clear()).toBe('True NoErrors');
  expect(definerView()).toMatchObject({ allowed: 'support reads all of it' });
});

it('takes the exempt roles of the connection for what they are', async () => {
  await at.admin.query('create role backup bypassrls login; grant select on orders to backup');
  at.shop.declare('orders', {});
  await at.shop.reconcile();
  const bypassing = () => at.shop.status('orders').findings?.find(({ lint }) => lint === 'bypassing-role');
  expect(bypassing()).toMatchObject({ object: 'role backup' });
  expect(bypassing()?.allowed).toBeUndefined();
  at.shop.connection({ exemptRoles: ['backup'] });
  await at.shop.reconcile();
  expect(bypassing()?.allowed).toContain('exemptRoles');
  await at.admin.query('revoke all on orders from backup; drop role backup');
});

it('is gone once it is fixed, at the next read of the catalog', async () => {
  at.shop.declare('orders', {});
  await at.shop.reconcile();
  await at.admin.query('alter view v_orders set (security_invoker = on)');
  for (let times = 0; times < 7; times += 1) at.shop.settle();
  await at.shop.reconcile();
  expect([definerView(), clear()]).toEqual([undefined, 'True NoErrors']);
});

// Findings of a RowPolicy on a real PostgreSQL: shown by a witness, allowed with a reason, and never in the way of enforcement.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { findCondition } from '../../src/model/condition.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Enforcing, seen, startEnforcing } from './enforcing.ts';

let postgres: Postgres;
let admin: pg.Client;
let shop: Enforcing;

beforeAll(async () => {
  postgres = await startPostgres();
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await admin.query('create role app');
});
afterAll(async () => {
  await admin?.end();
  await postgres?.stop();
});
beforeEach(async () => {
  await admin.query(`
    drop schema if exists rowseal cascade; drop table if exists orders cascade;
    create table orders (id int primary key, tenant_id text);
    create index on orders (tenant_id);
    insert into orders values (1, 'a'), (2, 'b');
    create view v_orders as select * from orders;
    grant all on orders to app; revoke truncate on orders from app; grant select on v_orders to app`);
  shop = await startEnforcing(postgres);
  return () => shop.close();
});

const clear = () => {
  const condition = findCondition(shop.status('orders').conditions, 'FindingsClear');
  return `${condition?.status} ${condition?.reason}`;
};
const definerView = () => shop.status('orders').findings?.find(({ lint }) => lint === 'definer-view');

it('shows a leak by a witness, in a condition and an Event, and enforces all the same', async () => {
  shop.declare('orders', {});
  await shop.reconcile();
  expect([shop.ready('orders'), clear()]).toEqual(['True Enforced', 'False ErrorFindings']);
  expect(await seen(admin, 'app', { t: 'a' }, 'select id from orders')).toEqual([1]);
  expect(definerView()).toMatchObject({ severity: 'error', object: 'public.v_orders', fix: expect.stringContaining('security_invoker'), witness: expect.stringMatching(/^shown: /) });
  expect(shop.status('orders').findingsTotal).toBe(shop.status('orders').findings?.length);
  expect(shop.cluster.notices.filter(({ reason }) => reason === 'ErrorFindings')).toHaveLength(1);
  const writes = shop.cluster.statusWrites();
  await shop.reconcile();
  shop.settle();
  await shop.reconcile();
  expect(shop.cluster.statusWrites()).toBe(writes);
});

it('counts what is allowed for nothing, and shows the reason', async () => {
  shop.declare('orders', { allowedFindings: [{ lint: 'definer-view', object: 'public.v_orders', reason: 'support reads all of it' }] });
  await shop.reconcile();
  expect(clear()).toBe('True NoErrors');
  expect(definerView()).toMatchObject({ allowed: 'support reads all of it' });
});

it('takes the exempt roles of the connection for what they are', async () => {
  await admin.query('create role backup bypassrls login; grant select on orders to backup');
  shop.declare('orders', {});
  await shop.reconcile();
  const bypassing = () => shop.status('orders').findings?.find(({ lint }) => lint === 'bypassing-role');
  expect(bypassing()).toMatchObject({ object: 'role backup' });
  expect(bypassing()?.allowed).toBeUndefined();
  shop.connection({ exemptRoles: ['backup'] });
  await shop.reconcile();
  expect(bypassing()?.allowed).toContain('exemptRoles');
  await admin.query('revoke all on orders from backup; drop role backup');
});

it('is gone once it is fixed, at the next read of the catalog', async () => {
  shop.declare('orders', {});
  await shop.reconcile();
  await admin.query('alter view v_orders set (security_invoker = on)');
  for (let times = 0; times < 7; times += 1) shop.settle();
  await shop.reconcile();
  expect([definerView(), clear()]).toEqual([undefined, 'True NoErrors']);
});

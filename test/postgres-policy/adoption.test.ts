// Adoption of policies that exist: nothing is changed where they are as declared, and what is somebody else's stays so.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, forget, type Rules, startFlow } from './harness.ts';

let postgres: Postgres;
let flow: Flow;
beforeAll(async () => {
  postgres = await startPostgres();
  flow = await startFlow(postgres);
  await flow.admin.query('create role app; create role other');
});
afterAll(async () => {
  await flow?.close();
  await postgres?.stop();
});
beforeEach(() =>
  flow.admin.query(`${forget} drop table if exists orders cascade; create table orders (id int primary key, tenant_id text);
    alter table orders enable row level security; alter table orders force row level security; grant all on orders to app, other;
    create policy "Own rows" on orders for select to app using (tenant_id = current_user); comment on policy "Own rows" on orders is 'theirs'`),
);

const text = '(tenant_id = CURRENT_USER)';
const own: Rules[number] = { name: 'own', policyName: 'Own rows', roles: ['app'], commands: ['Select'], using: { sql: `${text}\n` } };
const policies = async () => (await flow.admin.query(`select oid, xmin::text, polname, obj_description(oid, 'pg_policy') as comment from pg_policy order by polname`)).rows;
const kinds = async (name: string, rules: Rules) => (await flow.planOf(name, { rules })).steps.map((step) => [step.operation.kind, step.widening]);

it('records a policy that is as declared, and leaves it and its comment alone', async () => {
  const before = await policies();
  const plan = await flow.converge('orders', { rules: [own] });
  expect(plan.steps).toEqual([]);
  expect(plan.adoptions.map(({ policy }) => policy.name)).toEqual(['Own rows']);
  expect(await policies()).toEqual(before);
  expect(await flow.planOf('orders', { rules: [own] })).toMatchObject({ steps: [], adoptions: [] });
  expect((await flow.observe('orders', ['orders'])).tables[0]?.policies[0]?.record).toMatchObject({ owner: 'shop/orders', adopted: true });
});

it('does not wait for readers', async () => {
  await flow.admin.query('begin; select * from orders');
  await flow.converge('orders', { rules: [own] });
  await flow.admin.query('rollback');
  expect(await flow.planOf('orders', { rules: [own] })).toMatchObject({ steps: [], adoptions: [] });
});

it('brings an adopted policy back when it is changed or dropped outside', async () => {
  await flow.converge('orders', { rules: [own] });
  await flow.admin.query('alter policy "Own rows" on orders using (true)');
  await flow.converge('orders', { rules: [own] });
  expect((await flow.observe('orders', ['orders'])).tables[0]?.policies[0]?.using).toBe(text);
  await flow.admin.query('drop policy "Own rows" on orders');
  await flow.converge('orders', { rules: [own] });
  expect((await flow.observe('orders', ['orders'])).tables[0]?.policies.map((policy) => policy.using)).toEqual([text]);
  expect(await kinds('orders', [own])).toEqual([]);
});

it('alters a policy of that name that differs, widening unless provably not', async () => {
  const typed: Rules[number] = { ...own, using: { all: [{ column: 'tenant_id', op: 'Eq', currentRole: true }] } };
  expect(await kinds('orders', [typed])).toEqual([['AlterPolicy', true]]);
  expect(await kinds('orders', [{ ...own, roles: ['app', 'other'] }])).toEqual([['AlterPolicy', true]]);
  expect(await kinds('orders', [{ ...own, roles: ['other'] }])).toEqual([['AlterPolicy', true]]);
  expect(await kinds('orders', [{ ...own, as: 'Restrictive' }])).toEqual([['DropPolicy', false], ['CreatePolicy', false]]);
  await flow.admin.query('alter policy "Own rows" on orders to app, other');
  expect(await kinds('orders', [own])).toEqual([['AlterPolicy', false]]);
  await flow.converge('orders', { rules: [typed] });
  expect(await kinds('orders', [typed])).toEqual([]);
});

it('refuses a policy that another RowPolicy has, and two rules of one name', async () => {
  await flow.converge('orders', { rules: [own] });
  await expect(flow.planOf('second', { rules: [own] })).rejects.toMatchObject({ code: 'DatabaseConflict', message: expect.stringContaining('shop/orders') });
  await expect(flow.planOf('orders', { rules: [own, { ...own, name: 'again' }] })).rejects.toMatchObject({ code: 'BadPredicate' });
});

it('lets adopted policies stay when what was before is restored, and drops them when they are no longer declared', async () => {
  const before = await policies();
  await flow.converge('orders', { rules: [own] });
  await flow.remove('orders', 'Restore');
  expect(await policies()).toEqual(before);
  expect((await flow.observe('orders', ['orders'])).tables[0]?.policies[0]?.record).toBeUndefined();
  await flow.converge('orders', { rules: [own] });
  await flow.converge('orders', { rules: [{ ...own, name: 'new', policyName: 'New' }] });
  expect((await flow.observe('orders', ['orders'])).tables[0]?.policies.map((policy) => policy.name)).toEqual(['New']);
});

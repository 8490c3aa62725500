// What a plan calls widening when a rule changes: proven by the tree that was recorded, on a real server.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, type Rules, startFlow } from '../postgres-policy/harness.ts';

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
beforeEach(async () => {
  await flow.admin.query(`drop table if exists orders, members; create table orders (id int, tenant text, region text); create table members (person text, tenant text)`);
});

type Terms = NonNullable<NonNullable<Rules[number]['using']>['all']>;
const tenant: Terms[number] = { column: 'tenant', op: 'Eq', claim: ['t'] };
const region: Terms[number] = { column: 'region', op: 'In', values: ['eu', 'us'] };
const rules = (all: Terms, extra: Partial<Rules[number]> = {}): Rules => [{ name: 'r', roles: ['app'], commands: ['All'], using: { all }, ...extra }];
const widenings = async (next: Rules): Promise<readonly boolean[]> => (await flow.planOf('orders', { rules: next })).steps.filter(({ operation }) => operation.kind === 'AlterPolicy').map((step) => step.widening);

describe('a changed predicate', () => {
  it('is not widening where it is proven narrower, in all its expressions and roles', async () => {
    await flow.converge('orders', { rules: rules([region], { check: { all: [region] } }) });
    const narrow = { all: [region, tenant] };
    expect(await widenings(rules([region, tenant], { check: narrow }))).toEqual([false]);
    expect(await widenings(rules([{ ...region, values: ['eu'] }], { check: narrow }))).toEqual([false]);
    expect(await widenings(rules([tenant], { check: narrow }))).toEqual([true]);
    expect(await widenings(rules([region, tenant], { check: { all: [tenant] } }))).toEqual([true]);
    expect(await widenings(rules([region, tenant], { check: narrow, roles: ['app', 'other'] }))).toEqual([true]);
    const planned = await flow.planOf('orders', { rules: rules([region, tenant], { check: narrow }) });
    expect(await flow.store.apply(planned, AbortSignal.timeout(10_000))).toBe('Applied');
    expect(await widenings(rules([region], { check: { all: [region] } }))).toEqual([true]);
  });

  it('that gets a check of its own is measured by the expression that checked before', async () => {
    await flow.converge('orders', { rules: rules([tenant]) });
    const planned = async (check: Terms) => (await flow.planOf('orders', { rules: rules([tenant], { check: { all: check } }) })).steps.map(({ operation, widening }) => [operation.kind, widening]);
    expect(await planned([tenant, region])).toEqual([['DropPolicy', false], ['CreatePolicy', false]]);
    expect(await planned([region])).toEqual([['DropPolicy', false], ['CreatePolicy', true]]);
    expect((await flow.planOf('orders', { rules: rules([tenant], { commands: ['Select'] }) })).steps.map(({ widening }) => widening)).toEqual([false, true]);
  });

  it('of a restrictive rule, too', async () => {
    await flow.converge('orders', { rules: rules([tenant], { as: 'Restrictive' }) });
    expect(await widenings(rules([tenant, region], { as: 'Restrictive' }))).toEqual([false]);
    expect(await widenings(rules([region], { as: 'Restrictive' }))).toEqual([true]);
  });

  it('is widening where the expression in force is not the one recorded', async () => {
    await flow.converge('orders', { rules: rules([tenant]) });
    // The policy follows the column that it was made with; the tree's name now means another.
    await flow.admin.query('alter table orders rename tenant to former; alter table orders rename region to tenant');
    expect(await widenings(rules([tenant, { column: 'id', op: 'Eq', value: '1' }]))).toEqual([true]);
  });

  it('is widening where the record says nothing, or speaks another version', async () => {
    await flow.converge('orders', { rules: rules([tenant]) });
    for (const tree of ['null', `'{}'`, `tree || '{"version": 0}'`, `tree || '{"claims": "elsewhere"}'`, `tree || '{"using": 7}'`]) {
      await flow.admin.query('begin');
      await flow.admin.query(`update rowseal.governed_policy set tree = ${tree}`);
      await flow.admin.query('commit');
      expect(await widenings(rules([tenant, region])), tree).toEqual([true]);
      await flow.admin.query(`comment on policy rowseal_shop_orders_r on orders is null`);
      await flow.converge('orders', { rules: rules([tenant]) });
      expect(await widenings(rules([tenant, region]))).toEqual([false]);
    }
  });

  it('is widening where a lookup goes past row security from now on', async () => {
    const lookup: Terms = [{ column: 'tenant', member: { table: 'members', column: 'tenant', where: { all: [{ column: 'person', op: 'Eq', claim: ['sub'] }] } } }];
    await flow.converge('orders', { rules: rules(lookup) });
    await flow.admin.query('alter table members enable row level security');
    expect(await widenings(rules([...lookup, region]))).toEqual([true]);
  });
});

// Convergence, drift and deletion on a real catalog.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, forget, type Rules, startFlow } from './harness.ts';

let postgres: Postgres;
let flow: Flow;
beforeAll(async () => {
  postgres = await startPostgres();
  flow = await startFlow(postgres);
  await flow.admin.query('create role app; create role other; create role third');
});
afterAll(async () => {
  await flow?.close();
  await postgres?.stop();
});
beforeEach(() => recreate());

async function recreate(): Promise<void> {
  await flow.admin.query(`${forget} drop table if exists orders, members cascade;
    create table orders (id int primary key, tenant_id text, team_id int); create table members (user_id text, team_id int);
    insert into orders values (1, 'a', 1), (2, 'b', 2); insert into members values ('ann', 1);
    grant all on orders, members to app, other, third`);
}

const tenant: Rules[number] = { name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } };
const spec = { rules: [tenant] };
const name = 'rowseal_shop_orders_tenant';
const visible = async (role = 'app', claims = '{"t":"a"}') => (await flow.see(role, claims, 'select id from orders order by id')).map((row) => row['id']);

async function catalog(): Promise<unknown> {
  const { rows } = await flow.admin.query(
    `select relrowsecurity, relforcerowsecurity, (select json_agg(json_build_array(policyname, permissive, roles, cmd, qual, with_check) order by policyname) from pg_policies where tablename = 'orders') as policies
       from pg_class where relname = 'orders'`,
  );
  return rows;
}

const widening = (plan: Awaited<ReturnType<Flow['planOf']>>) => plan.steps.map((step) => [step.operation.kind, step.widening]);

describe('planning', () => {
  it('has nothing to do once applied, and writes nothing then', async () => {
    await flow.converge('orders', spec);
    // The first reader of a catalog page may prune it, which is the server's own housekeeping.
    await flow.planOf('orders', spec);
    await flow.store.install(new AbortController().signal);
    const { rows: before } = await flow.admin.query('select pg_current_wal_insert_lsn() as lsn');
    expect((await flow.planOf('orders', spec)).steps).toEqual([]);
    await flow.store.install(new AbortController().signal);
    const { rows: after } = await flow.admin.query('select pg_current_wal_insert_lsn() as lsn');
    expect(after).toEqual(before);
  });

  it('says the same digest inline and by the installed function', async () => {
    await flow.converge('orders', spec);
    const observed = await flow.observe('orders', ['orders']);
    await flow.admin.query('alter function rowseal.policy_digest(oid) rename to policy_digest_hidden');
    const inline = await flow.observe('orders', ['orders']);
    await flow.admin.query('alter function rowseal.policy_digest_hidden(oid) rename to policy_digest');
    expect(inline.tables.map((table) => table.digest)).toEqual(observed.tables.map((table) => table.digest));
    await flow.admin.query(`set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'; set quote_all_identifiers = on`);
    const { rows } = await flow.admin.query(`select rowseal.policy_digest('orders'::regclass) as digest`);
    await flow.admin.query('reset timezone; reset datestyle; reset quote_all_identifiers');
    expect(rows).toEqual([{ digest: observed.tables[0]?.digest }]);
  });

  it('leaves policies alone that are not its own', async () => {
    await flow.admin.query(`create policy theirs on orders for select to third using (id = 2); comment on policy theirs on orders is 'hands off'`);
    await flow.converge('orders', spec);
    await flow.converge('orders', { rules: [{ ...tenant, name: 'renamed' }] });
    expect((await flow.observe('orders', ['orders'])).tables[0]?.policies.map((policy) => policy.name)).toEqual(['rowseal_shop_orders_renamed', 'theirs']);
  });
});

describe('widening', () => {
  it('is said of whatever is not provably narrower', async () => {
    expect(widening(await flow.converge('orders', { rules: [{ ...tenant, roles: ['app', 'other'] }] }))).toEqual([['EnableRowSecurity', false], ['ForceRowSecurity', false], ['CreatePolicy', false]]);
    expect(widening(await flow.converge('orders', spec))).toEqual([['AlterPolicy', false]]);
    expect(widening(await flow.converge('orders', { rules: [{ ...tenant, roles: ['app', 'other'] }] }))).toEqual([['AlterPolicy', true]]);
    const fence: Rules[number] = { name: 'fence', as: 'Restrictive', roles: ['app'], commands: ['All'], using: { all: [{ column: 'id', op: 'Eq', value: '1' }] } };
    expect(widening(await flow.converge('orders', { rules: [tenant, fence] }))).toEqual([['CreatePolicy', false], ['AlterPolicy', false]]);
    expect(widening(await flow.converge('orders', { rules: [tenant, { ...fence, roles: ['PUBLIC'] }] }))).toEqual([['AlterPolicy', false]]);
    expect(widening(await flow.converge('orders', { rules: [tenant], rowSecurity: 'Enabled' }))).toEqual([['DropPolicy', true], ['NoForceRowSecurity', true]]);
  });
});

describe('drift', () => {
  it.each([
    ['a dropped policy', `drop policy ${name} on orders`],
    ['an altered expression', `alter policy ${name} on orders using (true)`],
    ['an altered role', `alter policy ${name} on orders to public`],
    ['a policy recreated with our comment', `do $$ declare c text := obj_description((select oid from pg_policy where polname = '${name}'), 'pg_policy'); begin
        drop policy ${name} on orders; create policy ${name} on orders to app using (true); execute format('comment on policy ${name} on orders is %L', c); end $$`],
    ['a removed comment', `comment on policy ${name} on orders is null`],
    ['a removed record', 'delete from rowseal.governed_policy'],
    ['row security switched off', 'alter table orders disable row level security'],
    ['force switched off', 'alter table orders no force row level security'],
  ])('is found and mended: %s', async (_what, sql) => {
    await flow.converge('orders', spec);
    const before = await catalog();
    await flow.admin.query(sql);
    expect((await flow.planOf('orders', spec)).steps.length).toBeGreaterThan(0);
    await flow.converge('orders', spec);
    expect(await catalog()).toEqual(before);
    expect(await visible()).toEqual([1]);
    expect((await flow.planOf('orders', spec)).steps).toEqual([]);
  });

  it('is found in a comment doctored together with its expression', async () => {
    await flow.converge('orders', spec);
    await flow.admin.query(`alter policy ${name} on orders using (true)`);
    const doctored = (await flow.observe('orders', ['orders'])).tables[0]?.policies[0];
    await flow.admin.query(`comment on policy ${name} on orders is 'rowseal owner=shop/orders rule=tenant definition=${doctored?.marker?.definition} deparsed=${doctored?.deparsed}'`);
    expect((await flow.planOf('orders', spec)).steps.map((step) => step.operation.kind)).toEqual(['AlterPolicy']);
  });

  it('is found in the body of a helper function', async () => {
    const member = { rules: [{ ...tenant, using: { all: [{ column: 'team_id', member: { table: 'orders', column: 'team_id', where: { all: [{ column: 'tenant_id', op: 'Eq' as const, claim: ['t'] }] } } }] } }] };
    await flow.converge('orders', member);
    expect(await visible()).toEqual([1]);
    const { rows } = await flow.admin.query(`select proname from pg_proc where proname ~ '^member_'`);
    await flow.admin.query(`create or replace function rowseal.${rows[0]?.proname}(text, jsonb) returns setof int language sql stable security definer as 'select team_id from public.orders'`);
    expect(await visible()).toEqual([1, 2]);
    await flow.converge('orders', member);
    expect(await visible()).toEqual([1]);
    expect((await flow.planOf('orders', member)).steps).toEqual([]);
  });

  it('wakes us at once, and our own changes do not', async () => {
    const stop = new AbortController();
    let heard = 0;
    await flow.store.onDrift(() => (heard += 1), stop.signal);
    await flow.converge('orders', spec);
    await flow.observe('orders', []);
    expect(heard).toBe(0);
    await flow.admin.query(`drop policy ${name} on orders`);
    await expect.poll(() => heard, { timeout: 5_000 }).toBeGreaterThan(0);
    stop.abort();
  });

  it('never fails DDL of others, even where our trigger can not work', async () => {
    await flow.admin.query('alter event trigger rowseal_drift enable always; begin; create table made (id int); drop table made; commit');
  });
});

describe('stale observations', () => {
  it('are not applied', async () => {
    const plan = await flow.planOf('orders', spec);
    await flow.admin.query('create policy sudden on orders using (true)');
    expect(await flow.store.apply(plan, new AbortController().signal)).toBe('Stale');
    expect((await flow.observe('orders', ['orders'])).tables[0]?.rowSecurity).toBe(false);
  });
});

describe('deletion', () => {
  it('restores flags and leaves no policy, record or helper', async () => {
    const before = await catalog();
    await flow.converge('orders', spec);
    await flow.remove('orders', 'Restore');
    expect(await catalog()).toEqual(before);
    const { rows } = await flow.admin.query('select (select count(*)::int from rowseal.governed_policy where table_oid = $1::regclass) as policies, (select count(*)::int from rowseal.governed_table where table_oid = $1::regclass) as tables', ['orders']);
    expect(rows).toEqual([{ policies: 0, tables: 0 }]);
    expect((await flow.remove('orders', 'Restore')).steps).toEqual([]);
  });

  it('keeps the flags while another RowPolicy governs the table, and restores them with the last one', async () => {
    const before = await catalog();
    await flow.converge('orders', spec);
    await flow.converge('second', spec);
    await flow.remove('orders', 'Restore');
    expect((await flow.observe('second', ['orders'])).tables[0]).toMatchObject({ rowSecurity: true, forced: true });
    await flow.remove('second', 'Restore');
    expect(await catalog()).toEqual(before);
  });

  it('closes by default denial where nothing else admits, and behind a restrictive false where something does', async () => {
    await flow.converge('orders', spec);
    await flow.remove('orders', 'FailClosed');
    expect(await visible()).toEqual([]);
    expect((await flow.observe('orders', ['orders'])).tables[0]?.policies).toEqual([]);
    await flow.admin.query('create policy theirs on orders using (true)');
    await flow.converge('orders', spec);
    await flow.remove('orders', 'FailClosed');
    expect(await visible()).toEqual([]);
    expect(await visible('third')).toEqual([1, 2]);
    expect((await flow.remove('orders', 'FailClosed')).steps).toEqual([]);
    await flow.converge('orders', spec);
    expect(await visible()).toEqual([1, 2]);
  });

  it('retains everything by default', async () => {
    await flow.converge('orders', spec);
    expect((await flow.remove('orders', 'Retain')).steps).toEqual([]);
    expect(await visible()).toEqual([1]);
  });

  it('takes policies along when a table leaves the target, and leaves it closed', async () => {
    await flow.converge('orders', spec);
    await flow.converge('orders', { target: { schema: 'public', tables: ['members'] }, rules: [{ ...tenant, using: { all: [{ column: 'user_id', op: 'Eq', claim: ['t'] }] } }] });
    expect(await visible()).toEqual([]);
  });
});

// Changes by hand that are hard to see, in roles, helper functions and the guard: found and mended on a real PostgreSQL.
import { describe, expect, it } from 'vitest';
import { never, startFlow } from '../postgres-policy/harness.ts';
import { seen, tenantRule, useShop } from './enforcing.ts';

const at = useShop({
  once: 'create role app; create role partner; create role reporting; grant usage on schema public to public',
  each: `drop schema if exists side cascade; drop table if exists orders, invoices, members cascade;
    create table orders (id int primary key, tenant_id text, area text); insert into orders values (1, 'a', 'x'), (2, 'b', 'y'); grant all on orders to app, partner;
    create table invoices (id int primary key, tenant_id text, area text); insert into invoices values (1, 'a', 'x'), (2, 'b', 'y'); grant all on invoices to app, partner;
    create table members (team text, sub text); insert into members values ('x', 'u1'), ('y', 'u2')`,
});

const area = { name: 'area', as: 'Restrictive' as const, roles: ['app'], commands: ['All' as const], using: { all: [{ column: 'area', op: 'Eq' as const, value: 'x' }] } };
const until = async (...names: string[]) => {
  await at.shop.reconcile(...names);
  at.shop.settle();
  await at.shop.reconcile(...names);
};

describe('tampering', () => {
  it('of a helper takes its rights away from strangers', async () => {
    await at.admin.query('alter table members enable row level security');
    at.shop.declare('one', { rules: [{ name: 'm', roles: ['app'], commands: ['All'], using: { all: [{ column: 'area', member: { table: 'members', column: 'team', where: { all: [{ column: 'sub', op: 'Eq', claim: ['sub'] }] } } }] } }] });
    await until('one');
    expect(at.shop.message('one')).toBe('the policies of the table equal the manifest');
    const helper = (await at.admin.query<{ f: string }>(`select oid::regprocedure::text as f from pg_proc where proname ~ '^member_'`)).rows[0]?.f ?? '';
    await at.admin.query(`grant execute on function ${helper} to partner`);
    await until('one');
    expect((await at.admin.query(`select has_function_privilege('partner', '${helper}', 'execute') as may`)).rows).toEqual([{ may: false }]);
    await at.admin.query(`revoke execute on function ${helper} from app`);
    await until('one');
    expect((await at.admin.query(`select has_function_privilege('app', '${helper}', 'execute') as may`)).rows).toEqual([{ may: true }]);
    await at.admin.query(`alter function ${helper} owner to partner`);
    await until('one');
    expect((await at.admin.query(`select pg_get_userbyid(proowner) as owner from pg_proc where oid = '${helper}'::regprocedure`)).rows).toEqual([{ owner: 'postgres' }]);
    expect(at.shop.ready('one')).toBe('True Enforced');
    const writes = at.shop.cluster.statusWrites();
    const revision = () => at.admin.query<{ revision: string }>('select revision from rowseal.policy_owner').then(({ rows }) => rows);
    const before = await revision();
    await at.shop.reconcile('one');
    expect(at.shop.cluster.statusWrites()).toBe(writes);
    expect(await revision()).toEqual(before);
  });
  it('brings the guard back whose function was changed', async () => {
    at.shop.declare('one', {});
    await until('one');
    await at.admin.query(`create or replace function rowseal.guard_tables() returns event_trigger language plpgsql security definer as 'begin end'`);
    await until('one');
    await at.admin.query('alter table orders rename to old_orders; create table orders (id int, tenant_id text); ');
    expect((await at.admin.query(`select relrowsecurity from pg_class where relname = 'orders'`)).rows).toEqual([{ relrowsecurity: true }]);
    await at.admin.query('drop table old_orders');
  });
  it('sees a role that is called PUBLIC', async () => {
    await at.admin.query('create role "PUBLIC"');
    at.shop.declare('one', { rules: [{ ...tenantRule, roles: ['PUBLIC'] }, { ...area, roles: ['PUBLIC'] }] });
    await until('one');
    await at.admin.query('alter policy rowseal_shop_one_area on orders to "PUBLIC"');
    await until('one');
    expect(await seen(at.admin, 'app', { t: 'b' }, 'select id from orders')).toEqual([]);
    await at.admin.query('drop schema rowseal cascade; drop table orders; drop role "PUBLIC"');
  });
  it('of functions that policies call is undone before their digest is recorded', async () => {
    const body = async (name: string) => (await at.admin.query<{ prosrc: string }>('select prosrc from pg_proc where proname = $1', [name])).rows[0]?.prosrc;
    await at.shop.close();
    const flow = await startFlow(at.postgres, { type: 'Signed', setting: 'request.jwt.claims', bind: 'Expiry' });
    try {
      const before = [await body('signed_claims'), await body('input_is_valid'), await body('notify_drift')];
      await at.admin.query(`create or replace function rowseal.signed_claims(setting text, bind text) returns jsonb language plpgsql stable security definer as 'begin return current_setting(setting, true); end';
        create or replace function rowseal.input_is_valid(value text, type_name text) returns boolean language plpgsql stable strict as 'begin return true; end';
        create or replace function rowseal.notify_drift() returns event_trigger language plpgsql as 'begin end'`);
      await flow.store.install(never);
      expect([await body('signed_claims'), await body('input_is_valid'), await body('notify_drift')]).toEqual(before);
    } finally {
      await flow.close();
    }
  });
});


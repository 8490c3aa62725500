// Changes by hand that are hard to see, in roles, helper functions and the guard: found and mended on a real PostgreSQL.
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { never, startFlow } from '../postgres-policy/harness.ts';
import { type Enforcing, seen, startEnforcing, tenantRule } from './enforcing.ts';

let postgres: Postgres;
let admin: pg.Client;
let shop: Enforcing;

beforeAll(async () => {
  postgres = await startPostgres();
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await admin.query('create role app; create role partner; create role reporting; grant usage on schema public to public');
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

const area = { name: 'area', as: 'Restrictive' as const, roles: ['app'], commands: ['All' as const], using: { all: [{ column: 'area', op: 'Eq' as const, value: 'x' }] } };
const until = async (...names: string[]) => {
  await shop.reconcile(...names);
  shop.settle();
  await shop.reconcile(...names);
};

describe('tampering', () => {
  it('of a helper takes its rights away from strangers', async () => {
    await admin.query('alter table members enable row level security');
    shop.declare('one', { rules: [{ name: 'm', roles: ['app'], commands: ['All'], using: { all: [{ column: 'area', member: { table: 'members', column: 'team', where: { all: [{ column: 'sub', op: 'Eq', claim: ['sub'] }] } } }] } }] });
    await until('one');
    expect(shop.message('one')).toBe('the policies of the table equal the manifest');
    const helper = (await admin.query<{ f: string }>(`select oid::regprocedure::text as f from pg_proc where proname ~ '^member_'`)).rows[0]?.f ?? '';
    await admin.query(`grant execute on function ${helper} to partner`);
    await until('one');
    expect((await admin.query(`select has_function_privilege('partner', '${helper}', 'execute') as may`)).rows).toEqual([{ may: false }]);
    await admin.query(`revoke execute on function ${helper} from app`);
    await until('one');
    expect((await admin.query(`select has_function_privilege('app', '${helper}', 'execute') as may`)).rows).toEqual([{ may: true }]);
    await admin.query(`alter function ${helper} owner to partner`);
    await until('one');
    expect((await admin.query(`select pg_get_userbyid(proowner) as owner from pg_proc where oid = '${helper}'::regprocedure`)).rows).toEqual([{ owner: 'postgres' }]);
    expect(shop.ready('one')).toBe('True Enforced');
    const writes = shop.cluster.statusWrites();
    const revision = () => admin.query<{ revision: string }>('select revision from rowseal.policy_owner').then(({ rows }) => rows);
    const before = await revision();
    await shop.reconcile('one');
    expect(shop.cluster.statusWrites()).toBe(writes);
    expect(await revision()).toEqual(before);
  });
  it('brings the guard back whose function was changed', async () => {
    shop.declare('one', {});
    await until('one');
    await admin.query(`create or replace function rowseal.guard_tables() returns event_trigger language plpgsql security definer as 'begin end'`);
    await until('one');
    await admin.query('alter table orders rename to old_orders; create table orders (id int, tenant_id text); ');
    expect((await admin.query(`select relrowsecurity from pg_class where relname = 'orders'`)).rows).toEqual([{ relrowsecurity: true }]);
    await admin.query('drop table old_orders');
  });
  it('sees a role that is called PUBLIC', async () => {
    await admin.query('create role "PUBLIC"');
    shop.declare('one', { rules: [{ ...tenantRule, roles: ['PUBLIC'] }, { ...area, roles: ['PUBLIC'] }] });
    await until('one');
    await admin.query('alter policy rowseal_shop_one_area on orders to "PUBLIC"');
    await until('one');
    expect(await seen(admin, 'app', { t: 'b' }, 'select id from orders')).toEqual([]);
    await admin.query('drop schema rowseal cascade; drop table orders; drop role "PUBLIC"');
  });
  it('of functions that policies call is undone before their digest is recorded', async () => {
    const body = async (name: string) => (await admin.query<{ prosrc: string }>('select prosrc from pg_proc where proname = $1', [name])).rows[0]?.prosrc;
    await shop.close();
    const flow = await startFlow(postgres, { type: 'Signed', setting: 'request.jwt.claims', bind: 'Expiry' });
    try {
      const before = [await body('signed_claims'), await body('input_is_valid'), await body('notify_drift')];
      await admin.query(`create or replace function rowseal.signed_claims(setting text, bind text) returns jsonb language plpgsql stable security definer as 'begin return current_setting(setting, true); end';
        create or replace function rowseal.input_is_valid(value text, type_name text) returns boolean language plpgsql stable strict as 'begin return true; end';
        create or replace function rowseal.notify_drift() returns event_trigger language plpgsql as 'begin end'`);
      await flow.store.install(never);
      expect([await body('signed_claims'), await body('input_is_valid'), await body('notify_drift')]).toEqual(before);
    } finally {
      await flow.close();
    }
  });
});


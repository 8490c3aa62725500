// New tables are born closed: the guard acts in the transaction that makes them, and hurts nobody else (DESIGN §5).
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { type Flow, never, type Rules, startFlow } from './harness.ts';

const rules: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } }];

describe.each(supportedMajors)('the guard on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  let flow: Flow;
  /** Makes tables, and has no rights beyond that. */
  let builder: pg.Client;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major), settings: ['max_prepared_transactions = 2'] });
    flow = await startFlow(postgres);
    await flow.admin.query(`create role app; create role builder login password 'b'; grant create on database postgres to builder`);
    builder = new pg.Client({ connectionString: postgres.uri('postgres', 'builder', 'b') });
    await builder.connect();
  });
  afterAll(async () => {
    await builder?.end();
    await flow?.close();
    await postgres?.stop();
  });
  beforeEach(async () => {
    for (const schema of ['shop', 'other', 'staging']) await flow.admin.query(`drop schema if exists ${schema} cascade; create schema ${schema} authorization builder; grant usage on schema ${schema} to app`);
    await flow.admin.query('delete from rowseal.guarded');
    await builder.query('alter default privileges grant select on tables to app');
  });

  const build = (sql: string) => builder.query(sql);
  const flags = async (table: string) => {
    const { rows } = await flow.admin.query<{ on: boolean; forced: boolean }>(`select relrowsecurity as on, relforcerowsecurity as forced from pg_class where oid = coalesce(to_regclass($1), (select oid from pg_class where relname = $1))`, [table]);
    return [rows[0]?.on, rows[0]?.forced];
  };
  const each = async (...tables: readonly string[]) => {
    const all = [];
    for (const table of tables) all.push(await flags(table));
    return all;
  };
  const closed = [true, true];
  const open = [false, false];
  const govern = (target: { schema: string; tables?: string[]; selector?: { namePattern?: string; hasColumns?: string[] } }, rowSecurity: 'Forced' | 'Enabled' = 'Forced') => flow.converge('orders', { rules, target, rowSecurity });

  it('closes a partition within the transaction that makes or attaches it, however deep', async () => {
    await build('create table shop.orders (tenant_id text, day int) partition by range (day)');
    await govern({ schema: 'shop', tables: ['orders'] });
    await build('begin; create table other.p1 partition of shop.orders for values from (0) to (10) partition by range (day); create table other.p2 partition of other.p1 for values from (0) to (5)');
    expect((await build(`select relrowsecurity and relforcerowsecurity as closed from pg_class where relname in ('p1', 'p2')`)).rows).toEqual([{ closed: true }, { closed: true }]);
    await build('commit');
    await build(`create table other.p3 (tenant_id text, day int); insert into other.p3 values ('a', 20)`);
    expect(await flags('other.p3')).toEqual(open);
    await build('alter table shop.orders attach partition other.p3 for values from (20) to (30)');
    expect(await flags('other.p3')).toEqual(closed);
    expect(await flow.see('app', undefined, 'select * from other.p3')).toEqual([]);
    await build('alter table shop.orders detach partition other.p3 concurrently');
    expect(await flags('other.p3')).toEqual(closed);
  });

  it('closes an inheritance child, made or adopted, and whole families that are attached', async () => {
    await build('create table shop.orders (tenant_id text)');
    await govern({ schema: 'shop', tables: ['orders'] });
    await build('create table other.c1 () inherits (shop.orders); create table other.c2 (tenant_id text); create table other.g () inherits (other.c2); alter table other.c2 inherit shop.orders');
    expect([await flags('other.c1'), await flags('other.c2'), await flags('other.g')]).toEqual([closed, closed, closed]);
  });

  it.each<[string, string]>([
    ['created', 'create table shop.orders (tenant_id text)'],
    ['created as', `create table shop.orders as select 'a'::text as tenant_id`],
    ['selected into', `select 'a'::text as tenant_id into shop.orders`],
    ['renamed', 'create table shop.old (tenant_id text); alter table shop.old rename to orders'],
    ['renamed as an index would be', 'create table shop.old (tenant_id text); alter index shop.old rename to orders'],
    ['moved between schemas', 'create table other.orders (tenant_id text); alter table other.orders set schema shop'],
    ['brought by a renamed schema', 'create schema made; create table made.orders (tenant_id text); alter schema shop rename to gone; alter schema made rename to shop; drop schema gone cascade'],
    ['brought by its schema', 'drop schema shop cascade; create schema shop create table orders (tenant_id text)'],
    ['unlogged', 'create unlogged table shop.orders (tenant_id text)'],
    ['partitioned', 'create table shop.orders (tenant_id text) partition by list (tenant_id)'],
    ['restored by a session that replicates', 'create table shop.orders (tenant_id text)'],
  ])('closes a table that is %s under a governed name', async (how, sql) => {
    await build('create table shop.orders (tenant_id text)');
    await govern({ schema: 'shop', tables: ['orders'] });
    await build('alter table shop.orders rename to orders_before');
    if (how.includes('replicates')) await flow.admin.query(`set session_replication_role = replica; ${sql}; reset session_replication_role`);
    else await build(sql);
    expect(await flags('shop.orders')).toEqual(closed);
    expect((await flow.admin.query(`select to_regclass('shop.orders_before') is null or (select relrowsecurity from pg_class where relname = 'orders_before') as closed`)).rows).toEqual([{ closed: true }]);
  });

  it('closes what a selector matches, also once it gets the column, and nothing else', async () => {
    await govern({ schema: 'shop', selector: { namePattern: 'order*', hasColumns: ['tenant_id'] } });
    await build('create table shop.orders (tenant_id text); create table shop.order_lines (id int); create table shop.invoices (tenant_id text); create temporary table orders_temp (tenant_id text); create table other.orders (tenant_id text)');
    expect(await each('shop.orders', 'shop.order_lines', 'shop.invoices', 'other.orders', 'orders_temp')).toEqual([closed, open, open, open, open]);
    await build('alter table shop.order_lines add tenant_id text');
    await build('alter table shop.invoices rename tenant_id to t');
    expect(await each('shop.order_lines', 'shop.invoices')).toEqual([closed, open]);
    await build('drop table orders_temp');
  });

  it('as rowSecurity: Enabled does not bind the owner', async () => {
    await govern({ schema: 'shop', selector: { namePattern: 'orders' } }, 'Enabled');
    await build(`create table shop.orders (tenant_id text); insert into shop.orders values ('a')`);
    expect(await flags('shop.orders')).toEqual([true, false]);
    expect((await build('select * from shop.orders')).rows).toHaveLength(1);
  });

  it('survives hostile names and settings', async () => {
    const name = `o"r'd;-- $$ \\ %s`;
    await govern({ schema: 'shop', selector: { namePattern: '*' } });
    await build(`set search_path = other; create function other.jsonb_agg(anyelement) returns jsonb language sql as 'select null::jsonb'; set quote_all_identifiers = on; set standard_conforming_strings = off`);
    await build(`create table shop.${builder.escapeIdentifier(name)} (tenant_id text)`);
    expect(await flags(`shop.${builder.escapeIdentifier(name)}`)).toEqual(closed);
    await build('reset all');
  });

  it('waits for no approval where the same rule is in force already, and for one where it is not', async () => {
    await build('create table shop.orders (tenant_id text) partition by list (tenant_id)');
    const target = { schema: 'shop', tables: ['orders'] };
    await govern(target);
    await build(`create table shop.a partition of shop.orders for values in ('a')`);
    const other: Rules = [{ ...rules[0], using: { all: [{ column: 'tenant_id', op: 'Ne', claim: ['t'] }] } } as Rules[number]];
    const widening = async (declared: Rules) => (await flow.planOf('orders', { rules: declared, target })).steps.map(({ operation, widening: widens }) => [operation.kind, 'table' in operation && operation.table.table, widens]);
    expect(await widening(rules)).toEqual([['CreatePolicy', 'a', false]]);
    expect(await widening(other)).toEqual([['CreatePolicy', 'a', true], ['AlterPolicy', 'orders', true]]);
    await govern(target);
    expect(await widening(rules)).toEqual([]);
    await flow.admin.query('drop policy rowseal_shop_orders_tenant on shop.a');
    expect((await flow.planOf('orders', { rules: other, target })).steps.every((step) => step.widening)).toBe(true);
  });

  it('leaves drift of a governed table to the operator, which sees and mends it', async () => {
    await build('create table shop.orders (tenant_id text)');
    await govern({ schema: 'shop', tables: ['orders'] });
    await build('alter table shop.orders disable row level security; alter table shop.orders no force row level security');
    expect(await flags('shop.orders')).toEqual(open);
    expect((await govern({ schema: 'shop', tables: ['orders'] })).steps).toHaveLength(2);
  });

  it('can be told again, forgets on Restore, and brings back how a table was born', async () => {
    await govern({ schema: 'shop', selector: { namePattern: 'orders*' } });
    await build('create table shop.orders (tenant_id text)');
    await govern({ schema: 'shop', selector: { namePattern: 'orders*' } });
    const before = await flow.admin.query('select * from rowseal.guarded');
    expect(before.rowCount).toBe(1);
    expect((await flow.planOf('orders', { rules, target: { schema: 'shop', selector: { namePattern: 'orders*' } } })).guard).toBeUndefined();
    await flow.remove('orders', 'Restore');
    expect(await flags('shop.orders')).toEqual(open);
    await build('create table shop.orders_new (tenant_id text)');
    expect(await flags('shop.orders_new')).toEqual(open);
  });

  it('fails the DDL that it can not close, and only that', async () => {
    await govern({ schema: 'shop', selector: { namePattern: 'orders' } });
    // Somebody took the guard's own rights away.
    await flow.admin.query('alter function rowseal.guard_tables() owner to app; grant all on rowseal.guarded, rowseal.governed_policy, rowseal.governed_table to app');
    try {
      await expect(build('create table shop.orders (tenant_id text)')).rejects.toMatchObject({ code: '55000', message: expect.stringContaining('shop.orders is governed by RowPolicy shop/orders') });
      await build('create table shop.harmless (tenant_id text)');
      await flow.admin.query('revoke all on rowseal.guarded from app');
      await build('create table shop.orders (tenant_id text)');
    } finally {
      await flow.admin.query('alter function rowseal.guard_tables() owner to postgres; revoke all on rowseal.governed_policy, rowseal.governed_table from app');
    }
  });

  it('is put back when somebody switches it off, and works in prepared transactions', async () => {
    await flow.admin.query('alter event trigger rowseal_guard disable');
    expect((await flow.store.observe({ owner: 'shop/orders', tables: [], roles: [] }, never)).guard?.active).toBe(false);
    await flow.store.install(never);
    expect((await flow.store.observe({ owner: 'shop/orders', tables: [], roles: [] }, never)).guard?.active).toBe(true);
    await govern({ schema: 'shop', selector: { namePattern: 'orders' } });
    await flow.admin.query(`begin; create table shop.orders (tenant_id text); prepare transaction 'made'`);
    await flow.admin.query(`commit prepared 'made'`);
    expect(await flags('shop.orders')).toEqual(closed);
  });
});

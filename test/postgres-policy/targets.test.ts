// Selectors, partitions and inheritance children on a real catalog: what is a target, and of which root.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readFacts } from '../../src/adapters/postgres/facts.ts';
import { createPolicyChecks } from '../../src/adapters/postgres/policy-checks.ts';
import { createProbe } from '../../src/adapters/postgres/probe.ts';
import { desiredFrom, noNeighbours, rootsOf } from '../../src/policy/desired.ts';
import { resolveTables, targetedTables } from '../../src/policy/resolve.ts';
import { likePattern, type Target } from '../../src/policy/target.ts';
import { describeTable } from '../../src/policy/table-name.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, never, type Rules, setting, specOf, startFlow } from './harness.ts';

const rules: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } }];
const owner = 'shop/orders';

describe.each([15, 18] as const)('targets on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  let flow: Flow;
  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    flow = await startFlow(postgres);
    await flow.admin.query('create role app');
  });
  afterAll(async () => {
    await flow?.close();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await flow.admin.query('drop schema if exists shop cascade; drop schema if exists archive cascade; create schema shop; create schema archive; grant usage on schema shop, archive to app');
  });

  const run = (sql: string) => flow.admin.query(sql);
  async function resolved(target: Target) {
    const observation = await flow.store.observe({ owner, target, tables: [], roles: [] }, never);
    const { tables, ungovernable } = targetedTables(target, observation.tables);
    return { tables: tables.map(({ table, root }) => [describeTable(table), describeTable(root)]), ungovernable: ungovernable.map(describeTable) };
  }

  it('a selector matches by whole name and by columns, as LIKE does', async () => {
    await run(`create table shop.orders (tenant_id int); create table shop.orders_old (id int); create table shop."orders%" (tenant_id int); create table shop.border (tenant_id int); create table shop."Orders" (tenant_id int)`);
    expect((await resolved({ schema: 'shop', selector: { namePattern: 'orders*' } })).tables.map(([name]) => name)).toEqual(['shop.orders', 'shop.orders%', 'shop.orders_old']);
    expect((await resolved({ schema: 'shop', selector: { namePattern: 'orders?', hasColumns: ['tenant_id'] } })).tables.map(([name]) => name)).toEqual(['shop.orders%']);
    expect((await resolved({ schema: 'shop', selector: { namePattern: 'orders%' } })).tables.map(([name]) => name)).toEqual(['shop.orders%']);
    expect((await resolved({ schema: 'shop', selector: { hasColumns: ['tenant_id', 'id'] } })).tables).toEqual([]);
    await run('alter table shop.orders add dropped int; alter table shop.orders drop dropped');
    expect((await resolved({ schema: 'shop', selector: { hasColumns: ['dropped'] } })).tables).toEqual([]);
  });

  it('the catalog query and the pure judgement agree on any names', async () => {
    const letters = ['a', 'B', '_', '%', '*', '?', '.', '-', '$', '"', "'", '/', '𝄞', 'é', '\n'];
    const word = (length: number) => Array.from({ length }, () => letters[randomBytes(1).readUInt8(0) % letters.length]).join('');
    expect(targetedTables({ schema: 's', selector: { namePattern: `${'*a'.repeat(31)}b` } }, [{ table: { schema: 's', table: 'a'.repeat(63) }, relationKind: 'r', parents: [], selectable: true, columns: [] } as never]).tables).toEqual([]);
    for (let round = 0; round < 500; round += 1) {
      const [name, namePattern] = [word(1 + (round % 6)), word(1 + (round % 4))];
      const { rows } = await flow.admin.query<{ matches: boolean }>('select $1::name like $2 as matches', [name, likePattern(namePattern)]);
      const table = { table: { schema: 's', table: name }, oid: 1, relationKind: 'r', parents: [], selectable: true, columns: [] };
      const pure = targetedTables({ schema: 's', selector: { namePattern } }, [table as never]).tables.length === 1;
      expect([name, namePattern, pure]).toEqual([name, namePattern, rows[0]?.matches]);
    }
  });

  it('never matches tables of extensions, temporary ones, and our own', async () => {
    await run(`create temporary table orders_temp (tenant_id int); create table shop.orders (tenant_id int)`);
    await run(`create table shop.orders_ext (tenant_id int); create extension if not exists plpgsql; alter extension plpgsql add table shop.orders_ext`);
    expect((await resolved({ schema: 'shop', selector: { namePattern: 'orders*' } })).tables).toEqual([['shop.orders', 'shop.orders']]);
    expect((await resolved({ schema: 'rowseal', selector: { namePattern: '*' } })).tables).toEqual([]);
    const { rows } = await flow.admin.query<{ nspname: string }>(`select nspname from pg_namespace where oid = pg_my_temp_schema()`);
    expect((await resolved({ schema: rows[0]?.nspname ?? '', selector: { namePattern: '*' } })).tables).toEqual([]);
    await run('alter extension plpgsql drop table shop.orders_ext');
    await expect(flow.converge('orders', { rules, target: { schema: 'rowseal', tables: ['governed_policy'] } })).rejects.toMatchObject({ code: 'BadReference' });
  });

  it('partitions and children follow their root, however deep and in whichever schema; grants are asked for roots', async () => {
    await run(`create table shop.orders (tenant_id text, day int) partition by range (day);
      create table shop.orders_1 partition of shop.orders for values from (0) to (10) partition by range (day);
      create table archive.leaf partition of shop.orders_1 for values from (0) to (5);
      create table shop.base (tenant_id text); create table archive.child () inherits (shop.base); create table archive.grandchild () inherits (archive.child);
      create temporary table temporary_child () inherits (shop.base)`);
    expect((await resolved({ schema: 'shop', tables: ['base', 'orders'] })).tables).toEqual([
      ['archive.child', 'shop.base'], ['archive.grandchild', 'shop.base'], ['shop.base', 'shop.base'],
      ['archive.leaf', 'shop.orders'], ['shop.orders', 'shop.orders'], ['shop.orders_1', 'shop.orders'],
    ]);
    const target = { schema: 'shop', selector: { namePattern: 'orders*' } };
    const observation = await flow.store.observe({ owner, target, tables: [], roles: [] }, never);
    const desired = resolveTables(desiredFrom({ namespace: 'shop', name: 'orders' }, specOf({ rules, target })), observation, noNeighbours);
    expect(rootsOf(desired)).toEqual([{ schema: 'shop', table: 'orders' }]);
    expect((await resolved({ schema: 'shop', selector: { namePattern: 'orders_*' } })).tables.map(([, root]) => root)).toEqual(['shop.orders_1', 'shop.orders_1']);
    await run('drop table temporary_child');
  });

  it('foreign tables and materialised views are named, not skipped', async () => {
    await run(`create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
      create table shop.orders (tenant_id text) partition by list (tenant_id); create foreign table shop.far partition of shop.orders for values in ('x') server nowhere;
      create materialized view shop.orders_copy as select 'a'::text as tenant_id; create view shop.orders_view as select 'a'::text as tenant_id`);
    expect(await resolved({ schema: 'shop', tables: ['orders'] })).toEqual({ tables: [['shop.orders', 'shop.orders']], ungovernable: ['shop.far'] });
    expect((await resolved({ schema: 'shop', selector: { hasColumns: ['tenant_id'] } })).ungovernable).toEqual(['shop.far', 'shop.orders_copy']);
    await expect(flow.converge('orders', { rules, target: { schema: 'shop', tables: ['orders_view'] } })).rejects.toMatchObject({ code: 'DatabaseObjectMissing' });
    await run('drop table shop.orders; drop foreign data wrapper nothing cascade');
  });

  it('the whole family gets the same policies and flags, a new partition too, and one that leaves ends closed', async () => {
    await run(`create table shop.orders (tenant_id text) partition by list (tenant_id); create table archive.a partition of shop.orders for values in ('a');
      insert into shop.orders values ('a'); grant select on all tables in schema shop, archive to app`);
    const spec = { rules, target: { schema: 'shop', selector: { hasColumns: ['tenant_id'] } } };
    await flow.converge('orders', spec);
    const see = (table: string, claims: string) => flow.see('app', claims, `select * from ${table}`);
    expect([await see('archive.a', '{"t":"b"}'), await see('archive.a', '{"t":"a"}')]).toEqual([[], [{ tenant_id: 'a' }]]);
    await run(`create table archive.b partition of shop.orders for values in ('b'); insert into shop.orders values ('b'); grant select on archive.b to app`);
    expect((await flow.converge('orders', spec)).tables.map(({ table }) => table.table)).toEqual(['b']);
    expect([await see('archive.b', '{"t":"a"}'), await see('shop.orders', '{"t":"b"}')]).toEqual([[], [{ tenant_id: 'b' }]]);
    expect((await flow.planOf('orders', spec)).steps).toEqual([]);
    await run('alter table shop.orders detach partition archive.b');
    expect((await flow.converge('orders', spec)).steps.map((step) => step.operation.kind)).toEqual(['DropPolicy']);
    expect(await see('archive.b', '{"t":"b"}')).toEqual([]);
  });

  it('a fixture test copies only what it names', async () => {
    await run('create table shop.orders (tenant_id text); create table shop."orders_""odd" (tenant_id text, other xid8)');
    const target = { schema: 'shop', selector: { namePattern: 'orders*' } };
    const observation = await flow.store.observe({ owner, target, tables: [], roles: ['app'] }, never);
    const desired = resolveTables(desiredFrom({ namespace: 'shop', name: 'orders' }, specOf({ rules, target })), observation, noNeighbours);
    const randomness = { bytes: (length: number) => randomBytes(length) };
    const facts = await flow.session.exclusively((query) => readFacts(query, flow.session.target), never);
    const probe = createProbe({ session: flow.session, facts, randomness });
    const checks = createPolicyChecks({ session: flow.session, probe, claims: { type: 'Setting', setting } });
    const tests = [{ name: 'own', fixture: { orders: [{ tenant_id: 'a' }, { tenant_id: 'b' }] }, as: { role: 'app', claims: { t: 'a' } }, expect: { table: 'orders', count: 1 } }];
    expect(await checks.runFixtureTests({ tests, schema: 'shop', desired, observation }, never)).toEqual([{ name: 'own', passed: true }]);
    await probe.close(never);
  });
});

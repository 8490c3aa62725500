// `indexes: Create` on real catalogs: what is missing, how it is built without blocking anybody, and what a crash leaves.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { desiredFrom, noNeighbours } from '../../src/policy/desired.ts';
import { indexName, indexNeeds } from '../../src/policy/index-work.ts';
import { resolveTables } from '../../src/policy/resolve.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, never, type Rules, specOf, startFlow } from './harness.ts';

const tenant = { column: 'tenant_id', op: 'Eq', claim: ['t'] } as const;
const ruled = (...terms: object[]): Rules => [{ name: 'r', roles: ['app'], commands: ['All'], using: { all: terms } }] as Rules;
const rules = ruled(tenant);

describe.each([15, 18] as const)('indexes on PostgreSQL %i', (major) => {
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
    await flow.admin.query('drop schema public cascade; create schema public; create table orders (id int primary key, tenant_id text, team int); create table members (user_id text, team int)');
  });

  async function needs(declared: Rules = rules, tables = ['orders']) {
    const wanted = desiredFrom({ namespace: 'shop', name: 'orders' }, specOf({ rules: declared, target: { schema: 'public', tables } }));
    const observation = await flow.store.observe({ owner: wanted.owner, target: wanted.target, tables: [], roles: [] }, never);
    return indexNeeds(resolveTables(wanted, observation, noNeighbours), observation);
  }
  const columns = async (declared: Rules) => (await needs(declared)).map(({ column }) => column);
  const validIndexes = async () =>
    (await flow.admin.query<{ name: string }>(`select i.indrelid::regclass::text as name from pg_index i join pg_class x on x.oid = i.indexrelid where x.relname like 'rowseal%' and i.indisvalid order by 1`)).rows.map((row) => row.name);

  it('are needed on columns that typed terms look for, unless one begins with it', async () => {
    expect(await columns(rules)).toEqual(['tenant_id']);
    expect(await columns(ruled({ column: 'id', op: 'Eq', value: '1' }, tenant))).toEqual([]);
    expect(await columns(ruled({ column: 'team', op: 'In', claim: ['teams'] }))).toEqual(['team']);
    expect(await columns(ruled({ column: 'team', member: { table: 'members', column: 'team', where: { all: [{ column: 'user_id', op: 'Eq', claim: ['sub'] }] } } }))).toEqual(['team']);
    for (const term of [{ ...tenant, not: true }, { column: 'team', op: 'Gt', value: '1' }, { column: 'tenant_id', op: 'IsNull' }]) expect(await columns(ruled(term))).toEqual([]);
    await flow.admin.query('create index partial on orders (tenant_id) where team > 1; create index second on orders (team, tenant_id)');
    expect(await columns(rules)).toEqual(['tenant_id']);
    await flow.admin.query('create index first on orders (tenant_id, team)');
    expect(await columns(rules)).toEqual([]);
  });

  it('are built, and nothing is left to do', async () => {
    await flow.store.buildIndexes(await needs(), never);
    expect([await validIndexes(), await needs()]).toEqual([['orders'], []]);
    await flow.store.buildIndexes(await needs(), never);
  });

  it('an invalid leftover of ours is rebuilt, whoever died', async () => {
    const [need] = await needs();
    const blocker = new pg.Client({ connectionString: postgres.uri() });
    await blocker.connect();
    await blocker.query(`begin; insert into orders values (1, 'a', 1)`);
    const stop = new AbortController();
    const building = flow.store.buildIndexes([need as NonNullable<typeof need>], stop.signal).catch(() => 'ended');
    await expect.poll(() => flow.store.indexProgress(never)).toContain('waiting');
    // Meanwhile the operator is not deaf, and others read and write.
    expect((await flow.observe('other', ['orders'])).tables).toHaveLength(1);
    await flow.admin.query(`insert into orders values (2, 'b', 1)`);
    stop.abort();
    expect(await building).toBe('ended');
    await flow.admin.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name like '%index'`);
    await blocker.end();
    expect((await flow.admin.query(`select from pg_index where indrelid = 'orders'::regclass and not indisvalid`)).rowCount).toBe(1);
    await flow.store.buildIndexes(await needs(), never);
    expect([await validIndexes(), await needs()]).toEqual([['orders'], []]);
  });

  it('of a partitioned table are built leaf by leaf and attached, from wherever a crash left it', async () => {
    const tree = `drop table orders; create table orders (tenant_id text, day int) partition by range (day);
      create table p1 partition of orders for values from (0) to (10) partition by range (day); create table p11 partition of p1 for values from (0) to (5);
      create table p2 partition of orders for values from (10) to (20)`;
    for (let crashAfter = 0; crashAfter < 7; crashAfter += 1) {
      await flow.admin.query(tree);
      const [need] = await needs();
      expect(need).toMatchObject({ column: 'tenant_id', partitioned: true });
      const oid = async (name: string) => Number((await flow.admin.query<{ oid: string }>('select $1::regclass::oid as oid', [name])).rows[0]?.oid);
      const index = async (name: string) => indexName(await oid(name), name, 'tenant_id');
      const statements = [
        `create index ${await index('orders')} on only orders (tenant_id)`, `create index ${await index('p1')} on only p1 (tenant_id)`, `create index ${await index('p11')} on p11 (tenant_id)`,
        `alter index ${await index('p1')} attach partition ${await index('p11')}`, `alter index ${await index('orders')} attach partition ${await index('p1')}`, `create index ${await index('p2')} on p2 (tenant_id)`,
      ];
      for (const statement of statements.slice(0, crashAfter)) await flow.admin.query(statement);
      await flow.store.buildIndexes(await needs(), never);
      expect([await validIndexes(), await needs()]).toEqual([['orders', 'p1', 'p11', 'p2'], []]);
      await flow.admin.query('create table p3 partition of orders for values from (20) to (30)');
      expect(await needs()).toEqual([]);
    }
  });

  it('with a foreign partition each local one gets its own', async () => {
    await flow.admin.query(`create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing; drop table orders;
      create table orders (tenant_id text) partition by list (tenant_id); create table a partition of orders for values in ('a'); create foreign table far partition of orders for values in ('b') server nowhere`);
    expect((await needs()).map(({ table }) => table.table)).toEqual(['a']);
    await flow.store.buildIndexes(await needs(), never);
    expect([await validIndexes(), await needs()]).toEqual([['a'], []]);
    await flow.admin.query('drop foreign data wrapper nothing cascade');
  });

  it('have names within 63 bytes, also for hostile tables', async () => {
    const name = `${'ä"'.repeat(18)};-- x`;
    await flow.admin.query(`create table ${flow.admin.escapeIdentifier(name)} (tenant_id text)`);
    const wanted = await needs(rules, [name]);
    await flow.store.buildIndexes(wanted, never);
    expect(await needs(rules, [name])).toEqual([]);
    expect(Buffer.byteLength(indexName(1, name, name))).toBeLessThanOrEqual(63);
    expect(flow.store.renderIndexes(wanted)[0]?.sql).toContain('create index concurrently');
  });
});

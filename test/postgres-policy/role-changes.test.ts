// Prepared statements of other sessions stop returning rows once a role is revoked or loses BYPASSRLS.
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPolicyStore } from '../../src/adapters/postgres/policy-store.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { claims, clock, type Flow, never, type Rules, startFlow } from './harness.ts';

const rules: Rules = [{ name: 'all', roles: ['team'], commands: ['All'], using: { all: [{ column: 'id', op: 'Gt', value: '0' }] } }];

describe.each(supportedMajors)('after a role change on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  let flow: Flow;
  let app: pg.Client;
  let skippedMs = 0;
  let follow: () => Promise<number>;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    flow = await startFlow(postgres);
    await flow.admin.query(`create role team; create role app login password 'a' in role team; create table orders (id int) with (toast_tuple_target = 200);
      create table parts (id int) partition by list (id); insert into orders values (1), (2); grant select on orders, parts to app`);
    await flow.converge('orders', { rules, target: { schema: 'public', tables: ['orders', 'parts'] } });
    const store = createPolicyStore({ session: flow.session, claims, clock: { ...clock, monotonicMs: () => clock.monotonicMs() + skippedMs } });
    follow = () => {
      skippedMs += 5_000;
      return store.followRoleChanges(never);
    };
    await follow();
    app = new pg.Client({ connectionString: postgres.uri('postgres', 'app', 'a') });
    await app.connect();
    await app.query('set plan_cache_mode = force_generic_plan');
  });
  afterAll(async () => {
    await app?.end();
    await flow?.close();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await flow.admin.query('grant team to app; alter role app nobypassrls');
    await follow();
  });
  const prepared = async () => (await app.query({ name: 'rows', text: 'select * from orders' })).rowCount;

  it('a revoked role sees nothing any more, by a statement prepared before', async () => {
    expect(await prepared()).toBe(2);
    await flow.admin.query('revoke team from app');
    expect(await prepared()).toBe(2);
    expect(await follow()).toBe(2);
    expect(await prepared()).toBe(0);
  });

  it('so does one that lost BYPASSRLS', async () => {
    await flow.admin.query('revoke team from app; alter role app bypassrls');
    await follow();
    expect(await prepared()).toBe(2);
    await flow.admin.query('alter role app nobypassrls');
    expect(await prepared()).toBe(2);
    await follow();
    expect(await prepared()).toBe(0);
  });

  it('settings of the tables stay, readers are not held up, and without a change nothing is written', async () => {
    await app.query('begin; select * from orders');
    await flow.admin.query('create role another');
    expect(await follow()).toBe(2);
    await app.query('commit');
    expect((await flow.admin.query(`select reloptions from pg_class where relname = 'orders'`)).rows).toEqual([{ reloptions: ['toast_tuple_target=200'] }]);
    await follow();
    const lsn = async () => (await flow.admin.query('select pg_current_wal_insert_lsn() as lsn')).rows;
    const before = await lsn();
    expect(await follow()).toBe(0);
    expect(await lsn()).toEqual(before);
    expect((await flow.planOf('orders', { rules, target: { schema: 'public', tables: ['orders', 'parts'] } })).steps).toEqual([]);
    await flow.admin.query('drop role another');
  });

  it('a locked table is waited for, and named by the next look', async () => {
    await app.query('begin; lock table orders in access share mode');
    await flow.admin.query('begin; lock table orders in share row exclusive mode');
    const other = new pg.Client({ connectionString: postgres.uri() });
    await other.connect();
    await other.query('create role locked_out');
    await expect(follow()).rejects.toMatchObject({ code: 'WaitingForLock', retryable: true });
    await flow.admin.query('rollback');
    await app.query('rollback');
    expect(await follow()).toBe(2);
    await other.query('drop role locked_out');
    await other.end();
  });
});

// The operator with no more rights than it needs: a member of the tables' owner that may create one schema.
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPolicyStore } from '../../src/adapters/postgres/policy-store.ts';
import { openSession, type Session } from '../../src/adapters/postgres/session.ts';
import { desiredFrom, noNeighbours, membershipTables } from '../../src/policy/desired.ts';
import { plan } from '../../src/policy/plan.ts';
import type { PolicyStore } from '../../src/ports/policy-database.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { claims, clock, never, type Rules, setting, specOf } from './harness.ts';

const tenant: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } }];

describe.each(supportedMajors)('an unprivileged operator on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let admin: pg.Client;
  let session: Session;
  let store: PolicyStore;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
    await admin.query(`create role app; create role owner; create role operator login password 'operator' in role owner; grant create on database postgres to operator;
      create table orders (id int, tenant_id text); create table strangers (id int, tenant_id text); alter table orders owner to owner;
      insert into orders values (1, 'a'), (2, 'b'); grant select on orders to app`);
    const target = { host: '127.0.0.1', port: postgres.port, database: 'postgres', user: 'operator', password: 'operator', tls: { mode: 'disable' as const }, claims };
    session = await openSession(target, never);
    store = createPolicyStore({ session, clock, claims });
    await store.install(never);
  });
  afterAll(async () => {
    await session?.close();
    await admin?.end();
    await postgres?.stop();
  });

  async function converge(rules: Rules, tables = ['orders']): Promise<number> {
    const desired = desiredFrom({ namespace: 'shop', name: 'orders' }, specOf({ rules, target: { schema: 'public', tables } }), noNeighbours);
    const observation = await store.observe({ owner: desired.owner, tables: [...desired.tables.map((table) => table.table), ...membershipTables(desired)], roles: ['app'] }, never);
    const planned = plan(store.compile(desired, observation), observation);
    if (planned.steps.length > 0) expect(await store.apply(planned, never)).toBe('Applied');
    return planned.steps.length;
  }

  it('installs without event triggers, applies, and finds nothing left to do', async () => {
    expect(await converge(tenant)).toBe(3);
    expect(await converge(tenant)).toBe(0);
    await admin.query('begin; set local role app');
    await admin.query(`select set_config('${setting}', '{"t":"a"}', true)`);
    expect((await admin.query('select id from orders')).rows).toEqual([{ id: 1 }]);
    await admin.query('rollback');
  });

  it('is told which table it does not own', async () => {
    await expect(converge(tenant, ['strangers'])).rejects.toMatchObject({ code: 'DatabasePrivilege', object: 'table public.strangers' });
  });

  it('refuses a lookup in a governed table that it could not read past its policies', async () => {
    const member: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', member: { table: 'orders', column: 'tenant_id', where: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } } }] } }];
    await expect(converge(member)).rejects.toMatchObject({ code: 'DatabasePrivilege' });
    await admin.query('alter role operator bypassrls');
    await converge(member);
    await admin.query('begin; set local role app');
    await admin.query(`select set_config('${setting}', '{"t":"a"}', true)`);
    expect((await admin.query('select id from orders')).rows).toEqual([{ id: 1 }]);
    await admin.query('rollback');
  });

  it('keeps the records and functions to itself', async () => {
    await admin.query('create role mallory');
    await admin.query('begin; set local role mallory');
    await expect(admin.query('select * from rowseal.governed_policy')).rejects.toMatchObject({ code: '42501' });
    await admin.query('rollback; begin; set local role mallory');
    await expect(admin.query('create table rowseal.mine ()')).rejects.toMatchObject({ code: '42501' });
    await admin.query('rollback');
  });
});

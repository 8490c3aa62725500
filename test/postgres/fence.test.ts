// The fence: a stale leader, a recreated lease, a second cluster write nothing, and the reason is said (DESIGN §5).
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPostgresEngine } from '../../src/adapters/postgres/engine.ts';
import { advisoryLockKey } from '../../src/adapters/postgres/session-start.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import { type Desired, desiredFrom } from '../../src/policy/desired.ts';
import { plan } from '../../src/policy/plan.ts';
import type { Database, Holder } from '../../src/ports/database.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { quietLogger } from '../parts/quiet-logger.ts';
import { never, type Rules, specOf } from '../postgres-policy/harness.ts';

const rules: Rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } }];
const first: Holder = { clusterUid: 'a', leaseUid: 'l1', holdsLease: false };

describe.each([15, 18] as const)('the fence on PostgreSQL %i', (major) => {
  let postgres: Postgres;
  let admin: pg.Client;
  const open: Database[] = [];

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
    await admin.query(`create role app; create role limited login password 'l'`);
  });
  afterAll(async () => {
    await admin?.end();
    await postgres?.stop();
  });
  beforeEach(async () => {
    for (const database of open.splice(0)) await database.close();
    await admin.query('drop schema if exists rowseal cascade; drop table if exists orders; create table orders (id int, tenant_id text)');
  });

  async function connect(holder: Holder, user?: string, password?: string): Promise<Database> {
    const engine = createPostgresEngine({ clock: systemClock, randomness: systemRandomness, logger: quietLogger() });
    const secret = { data: { uri: postgres.uri('postgres', user, password) }, annotations: {}, resourceVersion: '1' };
    const database = await engine.connect(engine.target({ spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'x' } } }, secret, secretName: 's' }), holder, never);
    open.push(database);
    return database;
  }
  const desired = (): Desired => desiredFrom({ namespace: 'shop', name: 'orders' }, specOf({ rules }));
  async function planned({ policies }: Database) {
    const observation = await policies.observe({ owner: 'shop/orders', target: desired().target, tables: [], roles: ['app'] }, never);
    return plan(policies.compile(desired(), observation), observation);
  }
  const fence = async () => (await admin.query('select cluster_uid, lease_uid, epoch::int from rowseal.fence')).rows;
  const policyCount = async () => (await admin.query('select from pg_policy')).rowCount;

  it('writes nothing on connecting to a database that has nothing of ours, and then one row', async () => {
    const database = await connect(first);
    expect((await admin.query(`select from pg_namespace where nspname = 'rowseal'`)).rowCount).toBe(0);
    await database.policies.install(never);
    expect(await fence()).toEqual([{ cluster_uid: 'a', lease_uid: 'l1', epoch: 1 }]);
    expect(await database.policies.apply(await planned(database), never)).toBe('Applied');
    await database.close();
    await connect(first);
    expect(await fence()).toEqual([{ cluster_uid: 'a', lease_uid: 'l1', epoch: 2 }]);
  });

  it.each<[string, string]>([
    ['stale leader that resumes', 'epoch = epoch + 1'],
    ['leader whose lease was made anew', `lease_uid = 'l2'`],
    ['cluster that was taken over from', `cluster_uid = 'b'`],
  ])('a %s writes nothing more and loses its session', async (_who, change) => {
    const database = await connect(first);
    await database.policies.install(never);
    const stale = await planned(database);
    await admin.query(`update rowseal.fence set ${change}`);
    await expect(database.policies.apply(stale, never)).rejects.toMatchObject({ code: 'Fenced', retryable: true });
    expect(await policyCount()).toBe(0);
    await expect(database.lost).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
  });

  it('installing is fenced as well', async () => {
    const database = await connect(first);
    await database.policies.install(never);
    await admin.query('update rowseal.fence set epoch = epoch + 1; drop table rowseal.guarded');
    await expect(database.policies.install(never)).rejects.toMatchObject({ code: 'Fenced' });
    expect((await admin.query(`select to_regclass('rowseal.guarded') as present`)).rows).toEqual([{ present: null }]);
  });

  it('the epoch is not raised while somebody applies', async () => {
    const database = await connect(first);
    await database.policies.install(never);
    const holding = new pg.Client({ connectionString: postgres.uri() });
    await holding.connect();
    await holding.query('begin; lock table orders in access share mode');
    const applying = database.policies.apply(await planned(database), never);
    await expect.poll(async () => (await admin.query(`select from pg_locks where relation = 'orders'::regclass and not granted`)).rowCount).toBe(1);
    await admin.query(`set lock_timeout = '50ms'`);
    await expect(admin.query('update rowseal.fence set epoch = epoch + 1')).rejects.toMatchObject({ code: '55P03' });
    await admin.query('reset lock_timeout');
    await holding.end();
    expect(await applying).toBe('Applied');
  });

  it('another cluster is refused by name until it may take over', async () => {
    const database = await connect(first);
    await database.policies.install(never);
    await database.close();
    const other: Holder = { clusterUid: 'b', leaseUid: 'l9', holdsLease: false };
    await expect(connect(other)).rejects.toMatchObject({ code: 'OwnedByAnother', retryable: false });
    await expect(connect({ ...other, takeOverFrom: 'c' })).rejects.toMatchObject({ code: 'OwnedByAnother' });
    await connect({ ...other, takeOverFrom: 'a' });
    expect(await fence()).toEqual([{ cluster_uid: 'b', lease_uid: 'l9', epoch: 2 }]);
  });

  it('whoever holds the lease ends a session of ours that hangs; without it the lock decides', async () => {
    const hanging = await connect(first);
    await hanging.policies.install(never);
    const stale = await planned(hanging);
    await expect(connect({ ...first, leaseUid: 'l2' })).rejects.toMatchObject({ code: 'DatabaseConflict' });
    const next = await connect({ ...first, leaseUid: 'l2', holdsLease: true });
    await expect(hanging.lost).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
    await expect(hanging.policies.apply(stale, never)).rejects.toBeDefined();
    expect(await policyCount()).toBe(0);
    expect(await next.policies.apply(await planned(next), never)).toBe('Applied');
  });

  it('a stranger that holds the lock is named with its role, and never ended', async () => {
    const stranger = new pg.Client({ connectionString: postgres.uri('postgres', 'limited', 'l') });
    await stranger.connect();
    await stranger.query('select pg_advisory_lock($1::bigint)', [advisoryLockKey.toString()]);
    await expect(connect({ ...first, holdsLease: true })).rejects.toMatchObject({ code: 'DatabaseConflict', message: expect.stringContaining('of role "limited"'), next: expect.stringContaining('pg_terminate_backend') });
    await stranger.end();
    await expect.poll(() => connect(first).then(() => true, () => false)).toBe(true);
  });

  it('without the right to make the schema it is said', async () => {
    const database = await connect(first, 'limited', 'l');
    await expect(database.policies.install(never)).rejects.toMatchObject({ code: 'DatabasePrivilege', object: 'schema rowseal' });
  });
});

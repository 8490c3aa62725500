// RowPolicy end to end but for Kubernetes: manifests in a Cluster in memory, a real PostgreSQL behind the ports.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readFacts } from '../../src/adapters/postgres/facts.ts';
import { createPolicyChecks } from '../../src/adapters/postgres/policy-checks.ts';
import { createProbe, type Probe } from '../../src/adapters/postgres/probe.ts';
import type { DatabaseConnectionSpec, RowPolicySpec } from '../../src/model/kinds.ts';
import type { Database } from '../../src/ports/database.ts';
import { createRowPolicyReconciler } from '../../src/reconcile/row-policy.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { quietLogger } from '../parts/quiet-logger.ts';
import { clock, type Flow, forget, never, setting, startFlow } from '../postgres-policy/harness.ts';
import { createMemoryCluster, type MemoryCluster } from './memory-cluster.ts';

const key = { namespace: 'shop', name: 'orders' };
const connection = { namespace: 'shop', name: 'db' };
const connectionSpec: DatabaseConnectionSpec = { engine: 'PostgreSQL', connection: { secretRef: { name: 'db' } } };
const spec: RowPolicySpec = {
  databaseRef: { name: 'db' },
  target: { schema: 'public', tables: ['orders'] },
  rules: [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } }],
};

let postgres: Postgres;
let flow: Flow;
let probe: Probe;
let database: Database;
let connected: Database | undefined;
let cluster: MemoryCluster;
let reconcile: () => Promise<unknown>;
/** What the tests have let go by without waiting for it. */
let skippedMs = 0;
let drifted = 0;
const settle = () => void (skippedMs += 5_000);
let listening: AbortController;
const enqueued: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  flow = await startFlow(postgres);
  await flow.admin.query('create role app');
  const { session, store } = flow;
  const facts = await session.exclusively((query) => readFacts(query, session.target), never);
  const randomness = { bytes: (length: number) => randomBytes(length) };
  probe = createProbe({ session, facts, randomness });
  const checks = createPolicyChecks({ session, probe, claims: { type: 'Setting', setting } });
  database = { facts, policies: { ...store, ...checks, onDrift: (listener: () => void, signal: AbortSignal) => store.onDrift(listener, AbortSignal.any([signal, listening.signal])) }, lost: session.lost, close: () => Promise.resolve() } as unknown as Database;
});
afterAll(async () => {
  await probe?.close(never);
  await flow?.close();
  await postgres?.stop();
});
beforeEach(async () => {
  drifted = 0;
  await flow.admin.query(`${forget} drop table if exists orders cascade; create table orders (id int primary key, tenant_id text); insert into orders values (1, 'a'), (2, 'b'); grant all on orders to app`);
  cluster = createMemoryCluster();
  listening = new AbortController();
  connected = database;
  cluster.put('DatabaseConnection', connection, connectionSpec);
  cluster.put('RowPolicy', key, spec);
  const databases = { get: () => connected, onChange: () => () => undefined };
  const reconciler = createRowPolicyReconciler({ cluster, databases, clock: { ...clock, monotonicMs: () => clock.monotonicMs() + skippedMs }, logger: quietLogger(), metrics: { drifted: (_policy, tables) => void (drifted += tables), applied: () => undefined, captured: () => undefined }, enqueue: (other) => enqueued.push(other.name) });
  reconcile = () => reconciler.reconcile(key, never);
});

afterEach(() => listening.abort());

const status = () => cluster.get('RowPolicy', key)?.status ?? {};
const condition = (type: string) => status().conditions?.find((candidate) => candidate.type === type);
const ready = () => [condition('Ready')?.status, condition('Ready')?.reason];
const visible = async () => (await flow.see('app', '{"t":"a"}', 'select id from orders order by id')).map((row) => row['id']);
const change = (extra: Partial<RowPolicySpec>) => cluster.put('RowPolicy', key, { ...spec, ...extra });

const sqlRule = (sql: string): Partial<RowPolicySpec> => ({ rules: [{ name: 'r', roles: ['app'], commands: ['All'], using: { sql } }] });

describe('a RowPolicy', () => {
  it('becomes Ready, says what is in force, and then writes nothing any more', async () => {
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    expect(await visible()).toEqual([1]);
    expect(status()).toMatchObject({ observedGeneration: 1, plan: { total: 0 }, tables: [{ name: 'public.orders', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), appliedAt: expect.any(String) }] });
    const writes = cluster.statusWrites();
    await reconcile();
    await reconcile();
    expect(cluster.statusWrites()).toBe(writes);
  });

  it('mends drift at once and says so in an Event, once', async () => {
    await reconcile();
    await flow.admin.query('alter table orders disable row level security');
    await reconcile();
    await reconcile();
    expect(await visible()).toEqual([1]);
    expect(cluster.notices.filter((notice) => notice.reason === 'DriftDetected')).toHaveLength(1);
    expect(drifted).toBe(1);
    await flow.admin.query('drop policy rowseal_shop_orders_tenant on orders');
    await expect.poll(() => enqueued.length, { timeout: 5_000 }).toBeGreaterThan(0);
  });

  it('is looked at again and changed when the manifest is, without calling that drift', async () => {
    await reconcile();
    settle();
    change({ approval: 'Automatic', rules: [{ name: 'all', roles: ['app'], commands: ['All'], using: { all: [{ column: 'id', op: 'Gt', value: '0' }] } }] });
    await reconcile();
    settle();
    await reconcile();
    expect(await visible()).toEqual([1, 2]);
    expect(cluster.notices.map((notice) => notice.reason)).toEqual(['Applied', 'Applied', 'Settling', 'Applied']);
  });

  it('in mode Plan reports and changes nothing', async () => {
    change({ mode: 'Plan' });
    await reconcile();
    expect(ready()).toEqual(['False', 'PlanOnly']);
    expect(status().plan).toMatchObject({ total: 3, steps: [{ widening: false }, {}, { sql: expect.stringContaining('create policy') }] });
    expect(await visible()).toEqual([1, 2]);
  });
});

describe('what is wrong is a condition with its reason', () => {
  it.each<[string, Partial<RowPolicySpec>, string]>([
    ['a missing table', { target: { schema: 'public', tables: ['gone'] } }, 'TableMissing'],
    ['a missing role', { rules: [{ name: 'r', roles: ['nobody'], commands: ['Select'], using: { all: [{ column: 'id', op: 'Eq', value: '1' }] } }] }, 'RoleMissing'],
    ['a missing column', { rules: [{ name: 'r', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'gone', op: 'Eq', value: '1' }] } }] }, 'ColumnMissing'],
    ['a literal that does not fit', { rules: [{ name: 'r', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'id', op: 'Eq', value: 'x' }] } }] }, 'InvalidPredicate'],
    ['sql without a grant', { rules: [{ name: 'r', roles: ['app'], commands: ['Select'], using: { sql: 'true' } }] }, 'NotGranted'],
  ])('%s', async (_what, extra, reason) => {
    change(extra);
    await reconcile();
    expect(ready()).toEqual(['False', reason]);
    expect(condition('Stalled')?.status).toBe('True');
    const { rows } = await flow.admin.query(`select relrowsecurity from pg_class where relname = 'orders'`);
    expect(rows).toEqual([{ relrowsecurity: false }]);
    await reconcile();
    expect(cluster.notices).toHaveLength(1);
    change({});
    await reconcile();
    expect([...ready(), condition('Stalled')]).toEqual(['True', 'Enforced', undefined]);
  });

  it('a database that is not connected', async () => {
    connected = undefined;
    await reconcile();
    expect([...ready(), condition('Reconciling')?.status]).toEqual(['False', 'DatabaseNotReady', 'True']);
  });

  it('sql that is granted but not harmless', async () => {
    cluster.put('DatabaseConnection', connection, { ...connectionSpec, grants: [{ name: 'sql', namespaces: { from: 'Same' }, rights: ['SQL', 'Widen'] }] });
    change(sqlRule(`set_config('role', 'none', true) is not null`));
    await reconcile();
    expect(ready()).toEqual(['False', 'InvalidPredicate']);
    change(sqlRule(`tenant_id = 'a' -- only those`));
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    expect(await visible()).toEqual([1]);
  });

  it('a widening plan without the right to', async () => {
    await reconcile();
    cluster.put('DatabaseConnection', connection, { ...connectionSpec, grants: [{ name: 'narrow', namespaces: { from: 'Same' } }] });
    change({ rules: [...spec.rules, { name: 'more', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'id', op: 'Eq', value: '2' }] } }] });
    await reconcile();
    expect(ready()).toEqual(['False', 'NotGranted']);
    expect(await visible()).toEqual([1]);
  });
});

describe('what widens', () => {
  const more = { name: 'more', roles: ['app'], commands: ['Select' as const], using: { all: [{ column: 'id', op: 'Eq' as const, value: '2' }] } };

  it('waits for an approval of exactly this plan, and for nobody else to be declaring', async () => {
    await reconcile();
    change({ rules: [...spec.rules, more] });
    await reconcile();
    expect([...ready(), condition('Stalled')?.status]).toEqual(['False', 'ApprovalRequired', 'True']);
    expect(status().plan).toMatchObject({ total: 1, steps: [{ widening: true }] });
    expect(condition('Ready')?.message).toContain(`rowseal.dev/approve=${status().plan?.digest}`);
    cluster.approve({ kind: 'Approved', digest: 'sha256:another', by: 'ann' });
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalRequired']);
    cluster.approve({ kind: 'Approved', digest: status().plan?.digest ?? '', by: 'ann' });
    await reconcile();
    expect([...ready(), condition('Reconciling')?.status]).toEqual(['False', 'Settling', 'True']);
    expect(await visible()).toEqual([1]);
    settle();
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    expect(await visible()).toEqual([1, 2]);
    expect(cluster.notices.at(-1)?.message).toContain('approved by ann');
  });

  it('is approved for one time only: the same plan again asks again', async () => {
    await reconcile();
    settle();
    const widen = async () => {
      change({ rules: [...spec.rules, more] });
      await reconcile();
      settle();
      return status().plan?.digest ?? '';
    };
    cluster.approve({ kind: 'Approved', digest: await widen(), by: 'ann' });
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    change({});
    await reconcile();
    expect(await visible()).toEqual([1]);
    await widen();
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalRequired']);
  });

  it('is voided by a change of the tables in between', async () => {
    await reconcile();
    settle();
    change({ rules: [...spec.rules, more] });
    await reconcile();
    const digest = status().plan?.digest ?? '';
    await flow.admin.query('create policy other on orders for select to app using (id = 3)');
    cluster.approve({ kind: 'Approved', digest, by: 'ann' });
    settle();
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalRequired']);
    expect(status().plan?.digest).not.toBe(digest);
  });

  it('waits as well while somebody has switched row security off', async () => {
    await reconcile();
    settle();
    await flow.admin.query('alter table orders disable row level security');
    change({ rules: [...spec.rules, more] });
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalRequired']);
    expect(await visible()).toEqual([1]);
  });

  it('never keeps what narrows from being applied', async () => {
    change({ rules: [...spec.rules, more] });
    await reconcile();
    change({ rules: [{ ...more, name: 'most', using: { all: [{ column: 'id', op: 'Lt', value: '10' }] } }, { ...more, using: { all: [{ column: 'id', op: 'Eq', value: '7' }] } }] });
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalRequired']);
    // The rule `tenant` is gone at once; `more` was changed and not proven narrower, so that it stays as it was.
    expect(await visible()).toEqual([2]);
  });

  it('stalls where nobody can be made sure of', async () => {
    await reconcile();
    cluster.approve({ kind: 'Unavailable', why: 'there is no policy' });
    change({ rules: [...spec.rules, more] });
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalUnavailable']);
  });

  it('does not include repairs: they ask nobody and wait for nothing', async () => {
    change({ approval: 'Always' });
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalRequired']);
    cluster.approve({ kind: 'Approved', digest: status().plan?.digest ?? '', by: 'ann' });
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    await flow.admin.query('drop policy rowseal_shop_orders_tenant on orders; alter table orders no force row level security');
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    expect(await visible()).toEqual([1]);
  });
});

describe('a pause', () => {
  const pause = (until: string) => cluster.put('RowPolicy', key, spec, { annotations: { 'rowseal.dev/pause-until': until } });

  it('stops mending until its time, and then it goes on', async () => {
    await reconcile();
    pause(new Date(Date.now() + 1_500).toISOString());
    await flow.admin.query('alter table orders disable row level security');
    expect(await reconcile()).toMatchObject({ requeueAfterMs: expect.closeTo(1_000, -3) });
    expect([...ready(), await visible()]).toEqual(['False', 'Paused', [1, 2]]);
    await expect.poll(async () => (await reconcile(), ready()), { timeout: 10_000 }).toEqual(['True', 'Enforced']);
    expect(await visible()).toEqual([1]);
  });

  it.each([['no time', 'tomorrow'], ['too long', new Date(Date.now() + 25 * 3_600_000).toISOString()]])('that is %s is refused, and enforcement goes on', async (_what, until) => {
    pause(until);
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    expect(await visible()).toEqual([1]);
    expect(cluster.notices.map((notice) => notice.reason)).toContain('PauseRefused');
  });
});

describe('tests in the manifest', () => {
  const fixture = { orders: [{ id: 1, tenant_id: 'a' }, { id: 2, tenant_id: 'b' }] };
  it('that pass let the policy through', async () => {
    change({
      tests: [
        { name: 'its own', fixture, as: { role: 'app', claims: { t: 'a' } }, expect: { table: 'orders', visible: [{ id: 1 }] } },
        { name: 'no cross-tenant write', fixture, as: { role: 'app', claims: { t: 'a' } }, expect: { denied: { command: 'Insert', table: 'orders', row: { id: 3, tenant_id: 'b' } } } },
        { name: 'live', as: { role: 'app', claims: { t: 'b' } }, expect: { table: 'orders', count: 1 } },
      ],
    });
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    expect(status().tests?.map((test) => [test.name, test.passed])).toEqual([['its own', true], ['no cross-tenant write', true], ['live', true]]);
  });

  it('that fail stop the apply', async () => {
    change({ tests: [{ name: 'wrong', fixture, as: { role: 'app', claims: { t: 'a' } }, expect: { table: 'orders', count: 2 } }] });
    await reconcile();
    expect(ready()).toEqual(['False', 'TestFailed']);
    expect(status().tests).toMatchObject([{ name: 'wrong', passed: false }]);
    expect(await visible()).toEqual([1, 2]);
  });

  const live = (count: number): Partial<RowPolicySpec> => ({ tests: [{ name: 'live', as: { role: 'app', claims: { t: 'a' } }, expect: { table: 'orders', count } }] });

  it('stop the apply without a fixture, too, tried on copies of the rows', async () => {
    change(live(2));
    await reconcile();
    expect([ready(), await visible()]).toEqual([['False', 'TestFailed'], [1, 2]]);
    change(live(1));
    await reconcile();
    expect([ready(), await visible()]).toEqual([['True', 'Enforced'], [1]]);
  });

  it('on a table too large to copy are tried after the apply', async () => {
    await flow.admin.query(`insert into orders select i, 'a' from generate_series(3, 10002) i`);
    change(live(2));
    await reconcile();
    expect([ready(), (await visible()).length]).toEqual([['False', 'TestFailed'], 10_001]);
    change(live(10_001));
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
  });

  it('tell nothing of rows that a widening plan would show to who may not widen', async () => {
    await reconcile();
    cluster.put('DatabaseConnection', connection, { ...connectionSpec, grants: [{ name: 'one', namespaces: { from: 'Same' }, tables: ['orders'] }] });
    change({ ...live(2), rules: [{ name: 'all', roles: ['app'], commands: ['All'], using: { all: [{ column: 'id', op: 'Gt', value: '0' }] } }] });
    settle();
    await reconcile();
    expect(ready()).toEqual(['False', 'NotGranted']);
    expect(status().tests ?? []).toEqual([]);
    expect(status().plan?.rows ?? []).toEqual([]);
  });

  it('never keep drift from being mended, whatever the rows have become', async () => {
    change(live(1));
    await reconcile();
    await flow.admin.query(`insert into orders values (7, 'a'); alter table orders disable row level security`);
    await reconcile();
    expect(await visible()).toEqual([1, 7]);
  });
});

describe('deleting', () => {
  it('retains without a finalizer', async () => {
    await reconcile();
    cluster.remove('RowPolicy', key);
    await reconcile();
    expect(cluster.get('RowPolicy', key)).toBeUndefined();
    expect(await visible()).toEqual([1]);
  });

  it('restores, then lets go', async () => {
    change({ deletionPolicy: 'Restore' });
    await reconcile();
    cluster.remove('RowPolicy', key);
    await reconcile();
    expect(ready()).toEqual(['False', 'ApprovalRequired']);
    expect(await visible()).toEqual([1]);
    cluster.approve({ kind: 'Approved', digest: status().plan?.digest ?? '', by: 'ann' });
    await reconcile();
    expect(ready()).toEqual(['False', 'Settling']);
    settle();
    await reconcile();
    expect(cluster.get('RowPolicy', key)).toBeUndefined();
    expect(await visible()).toEqual([1, 2]);
  });

  it('waits for a database that is away, saying so, and lets go when abandoned', async () => {
    change({ deletionPolicy: 'FailClosed' });
    await reconcile();
    connected = undefined;
    cluster.remove('RowPolicy', key);
    await reconcile();
    expect(ready()).toEqual(['False', 'DatabaseNotReady']);
    cluster.put('RowPolicy', key, { ...spec, deletionPolicy: 'FailClosed' }, { annotations: { 'rowseal.dev/abandon': 'true' } });
    await reconcile();
    expect(cluster.get('RowPolicy', key)).toBeUndefined();
  });
});

describe('a selector', () => {
  const target = { schema: 'public', selector: { namePattern: 'order*', hasColumns: ['tenant_id'] } };
  const made = 'create table orders_new (id int, tenant_id text)';
  afterEach(() => flow.admin.query('drop table if exists orders_new'));

  it('that matches nothing says so and governs what comes later', async () => {
    await flow.admin.query('drop table orders');
    change({ target });
    await reconcile();
    expect([...ready(), condition('Reconciling')?.status]).toEqual(['False', 'NoTables', 'True']);
    await flow.admin.query(made);
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    expect(status()).toMatchObject({ tablesTotal: 1, tables: [{ name: 'public.orders_new' }] });
  });

  it('needs a grant for each table it matches, and has no say on tables of others without one', async () => {
    const grants = [{ name: 'one', namespaces: { from: 'Same' as const }, tables: ['orders'], rights: ['Widen' as const] }];
    cluster.put('DatabaseConnection', connection, { ...connectionSpec, grants });
    change({ target });
    await reconcile();
    expect(ready()).toEqual(['True', 'Enforced']);
    await flow.admin.query(made);
    await reconcile();
    expect(ready()).toEqual(['False', 'NotGranted']);
    expect(condition('Ready')?.message).toContain('public.orders_new');
  });

  it('of another RowPolicy keeps a shared table forced', async () => {
    change({ rowSecurity: 'Enabled' });
    cluster.put('RowPolicy', { namespace: 'shop', name: 'others' }, { ...spec, target });
    await reconcile();
    const { rows } = await flow.admin.query(`select relforcerowsecurity as forced from pg_class where relname = 'orders'`);
    expect(rows).toEqual([{ forced: true }]);
  });

  it('shows the first 64 tables and how many there are', async () => {
    await flow.admin.query(`drop table orders; create table orders (id int, tenant_id text) partition by list (id)`);
    for (let index = 0; index < 70; index += 1) await flow.admin.query(`create table orders_p${index} partition of orders for values in (${index})`);
    await reconcile();
    expect([status().tables?.length, status().tablesTotal]).toEqual([64, 71]);
    expect(condition('Ready')?.message).toContain('71 tables');
  });
});

describe('indexes: Create', () => {
  it('come first while changes wait, and repairs do not', async () => {
    const writer = new pg.Client({ connectionString: postgres.uri() });
    await writer.connect();
    // A writer that is older than the build keeps it waiting.
    await writer.query(`begin; insert into orders values (3, 'a')`);
    change({ indexes: 'Create' });
    await reconcile();
    expect([...ready(), condition('Reconciling')?.status]).toEqual(['False', 'BuildingIndexes', 'True']);
    expect(status().plan?.steps[0]).toMatchObject({ sql: expect.stringContaining('create index concurrently'), widening: false });
    expect(await visible()).toEqual([1, 2]);
    await writer.query('rollback');
    await writer.end();
    await expect.poll(async () => (await reconcile(), ready()), { timeout: 10_000 }).toEqual(['True', 'Enforced']);
    expect(await visible()).toEqual([1]);
    await flow.admin.query('alter table orders disable row level security; drop index if exists public.nothing; alter table orders rename tenant_id to gone; alter table orders add tenant_id text');
    await reconcile();
    expect(await visible()).not.toEqual([1, 2]);
  });

  it('that can not be created are named, and the policies are in force all the same', async () => {
    await flow.admin.query(`alter table orders add document point`);
    change({ indexes: 'Create', rules: [{ name: 'r', roles: ['app'], commands: ['All'], using: { all: [{ column: 'id', op: 'Eq', value: '1' }] } }, { name: 's', roles: ['app'], commands: ['Select'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } }] });
    await flow.admin.query(`create function refuse() returns event_trigger language plpgsql as $$ begin raise exception 'no'; end $$; create event trigger refuse on ddl_command_start when tag in ('CREATE INDEX') execute function refuse()`);
    try {
      await expect.poll(async () => (await reconcile(), ready()), { timeout: 10_000 }).toEqual(['True', 'Enforced']);
      expect(condition('Ready')?.message).toContain('an index could not be created');
      expect(await visible()).toEqual([1]);
    } finally {
      await flow.admin.query('drop event trigger refuse; drop function refuse()');
    }
  });
});

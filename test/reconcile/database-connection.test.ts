// DatabaseConnection on a real PostgreSQL: connects, follows its Secret, says why it cannot, and waits for its dependants.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPostgresEngine } from '../../src/adapters/postgres/engine.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import { findCondition } from '../../src/model/condition.ts';
import type { DatabaseConnectionSpec, RowPolicySpec } from '../../src/model/kinds.ts';
import type { Secret } from '../../src/ports/cluster.ts';
import { createDatabaseConnectionReconciler, type DatabaseConnectionReconciler } from '../../src/reconcile/database-connection.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { quietLogger } from '../parts/quiet-logger.ts';
import { withClient } from '../parts/shop.ts';
import { until } from '../parts/until.ts';
import { createMemoryCluster, type MemoryCluster } from './memory-cluster.ts';

const key = { namespace: 'shop', name: 'db' };
const spec: DatabaseConnectionSpec = { engine: 'PostgreSQL', connection: { secretRef: { name: 'admin' } } };
const rowPolicy: RowPolicySpec = {
  databaseRef: { name: 'db' },
  target: { schema: 'public', tables: ['orders'] },
  rules: [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } }],
};

let postgres: Postgres;
let cluster: MemoryCluster;
let reconciler: DatabaseConnectionReconciler;
let secrets: Map<string, Secret>;
const changes: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());
beforeEach(() => {
  secrets = new Map();
  cluster = { ...createMemoryCluster(), secret: (wanted) => Promise.resolve(secrets.get(`${wanted.namespace}/${wanted.name}`)) };
  cluster.put('DatabaseConnection', key, spec);
  reconciler = createReconciler();
  changes.length = 0;
  reconciler.onChange((changed) => changes.push(changed.name));
});
afterEach(() => reconciler.close());

function createReconciler(of: MemoryCluster = cluster): DatabaseConnectionReconciler {
  const shared = { clock: systemClock, randomness: systemRandomness, logger: quietLogger() };
  return createDatabaseConnectionReconciler({ ...shared, cluster: of, engine: createPostgresEngine(shared), leaseUid: 'one' });
}

function setSecret(data: Record<string, string>): void {
  secrets.set('shop/admin', { data, annotations: {}, resourceVersion: '1' });
}

async function reconcile(which = reconciler): Promise<{ ready: string | undefined; reason: string | undefined; stalled: boolean }> {
  await which.reconcile(key, AbortSignal.timeout(20_000));
  const conditions = cluster.get('DatabaseConnection', key)?.status.conditions;
  const ready = findCondition(conditions, 'Ready');
  return { ready: ready?.status, reason: ready?.reason, stalled: findCondition(conditions, 'Stalled') !== undefined };
}

test('connects and says to what, with whom it is shared, and nothing is written when nothing changes', async () => {
  setSecret({ uri: postgres.uri() });
  cluster.put('RowPolicy', { namespace: 'shop', name: 'orders' }, rowPolicy);
  cluster.put('RowPolicy', { namespace: 'web', name: 'other' }, rowPolicy);
  expect(await reconcile()).toEqual({ ready: 'True', reason: 'Connected', stalled: false });
  const status = cluster.get('DatabaseConnection', key)?.status;
  expect(status).toMatchObject({ observedGeneration: 1, database: 'postgres', systemIdentifier: expect.stringMatching(/^\d+$/), dependants: { total: 1, names: ['RowPolicy shop/orders'] } });
  expect(status?.capabilities).toContain('Superuser');
  expect(reconciler.get(key)?.facts.database).toBe('postgres');
  expect(changes).toEqual(['db']);
  const writes = cluster.statusWrites();
  await reconcile();
  expect(cluster.statusWrites()).toBe(writes);
  expect(changes).toEqual(['db']);
});

test('names what is missing or wrong, and never the password', async () => {
  const tries: readonly (readonly [Record<string, string> | undefined, string, boolean])[] = [
    [undefined, 'SecretMissing', true],
    [{ host: 'h' }, 'SecretInvalid', true],
    [{ uri: postgres.uri('postgres', 'postgres', 'wr0ng-pass') }, 'AuthenticationFailed', true],
    [{ uri: postgres.uri('absent') }, 'DatabaseMissing', true],
    [{ uri: 'postgresql://u:wr0ng-pass@127.0.0.1:1/x' }, 'Unreachable', false],
  ];
  for (const [data, reason, stalled] of tries) {
    if (data === undefined) secrets.clear();
    else setSecret(data);
    expect(await reconcile()).toEqual({ ready: 'False', reason, stalled });
    expect(JSON.stringify([cluster.get('DatabaseConnection', key), cluster.notices])).not.toContain('wr0ng-pass');
    expect(reconciler.get(key)).toBeUndefined();
  }
  setSecret({ uri: postgres.uri() });
  expect((await reconcile()).ready).toBe('True');
});

test('a rotated Secret reconnects at once as the new user; a broken one lets the database go', async () => {
  await withClient(postgres.uri(), (client) => client.query(`create role rotated login superuser password 'new'`));
  setSecret({ uri: postgres.uri() });
  await reconcile();
  const before = reconciler.get(key);
  setSecret({ uri: postgres.uri('postgres', 'rotated', 'new') });
  expect((await reconcile()).ready).toBe('True');
  expect(reconciler.get(key)).not.toBe(before);
  expect(reconciler.get(key)?.facts.user).toBe('rotated');
  secrets.clear();
  expect((await reconcile()).reason).toBe('SecretMissing');
  expect(reconciler.get(key)).toBeUndefined();
  expect(changes).toEqual(['db', 'db', 'db', 'db']);
});

test('a lost session is told to the others, and the next reconcile connects again', async () => {
  setSecret({ uri: postgres.uri() });
  await reconcile();
  changes.length = 0;
  await withClient(postgres.uri(), (client) => client.query(`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted`));
  await until(() => changes.length > 0 && reconciler.get(key) === undefined, 'the loss to be told');
  expect((await reconcile()).ready).toBe('True');
});

test('a second operator waits, and takes over when the first is gone', async () => {
  setSecret({ uri: postgres.uri() });
  await reconcile();
  const second = createReconciler();
  expect(await reconcile(second)).toEqual({ ready: 'False', reason: 'AnotherOperator', stalled: false });
  await reconciler.close();
  expect((await reconcile(second)).ready).toBe('True');
  await second.close();
});

test('installs the keys of signed claims, follows their Secret, and never says them', async () => {
  setSecret({ uri: postgres.uri() });
  cluster.put('DatabaseConnection', key, { ...spec, claims: { type: 'Signed', signed: { keySecretRef: { name: 'claims' } } } });
  const keysCondition = () => findCondition(cluster.get('DatabaseConnection', key)?.status.conditions, 'ClaimsKeysInstalled');
  const installed = () => withClient(postgres.uri(), async (client) => (await client.query('select id from rowseal.claims_key order by id')).rows.map((row) => row.id as string));
  const value = () => Buffer.from(systemRandomness.bytes(32)).toString('base64');
  const setKeys = (data: Record<string, string>) => secrets.set('shop/claims', { data, annotations: {}, resourceVersion: '1' });
  expect((await reconcile()).ready).toBe('True');
  expect(keysCondition()).toMatchObject({ status: 'False', reason: 'SecretMissing' });
  const [first, second] = [value(), value()];
  for (const [data, ids] of [[{ old: first }, ['old']], [{ old: first, new: second }, ['new', 'old']], [{ new: second }, ['new']]] as const) {
    setKeys(data);
    await reconcile();
    expect(keysCondition()).toMatchObject({ status: 'True', reason: 'Installed' });
    expect(await installed()).toEqual(ids);
  }
  for (const bad of [{ 'a.b': first }, { short: 'c2hvcnQ=' }, { none: '' }, {}, { [`x${'y'.repeat(40)}`]: first }]) {
    setKeys(bad);
    expect((await reconcile()).ready).toBe('True');
    expect(keysCondition()).toMatchObject({ status: 'False', reason: 'SecretInvalid' });
    expect(await installed()).toEqual(['new']);
  }
  expect(JSON.stringify([cluster.get('DatabaseConnection', key), cluster.notices])).not.toContain(first.slice(0, 20));
  cluster.put('DatabaseConnection', key, spec);
  await reconcile();
  expect(keysCondition()).toBeUndefined();
});

test('is not deleted before its dependants, and names them', async () => {
  setSecret({ uri: postgres.uri() });
  cluster.put('RowPolicy', { namespace: 'shop', name: 'orders' }, rowPolicy);
  await reconcile();
  cluster.remove('DatabaseConnection', key);
  expect(await reconcile()).toMatchObject({ ready: 'False', reason: 'DependantsExist' });
  expect(findCondition(cluster.get('DatabaseConnection', key)?.status.conditions, 'Ready')?.message).toContain('RowPolicy shop/orders');
  // The dependant's own deletion may still need the database.
  expect(reconciler.get(key)).toBeDefined();
  cluster.remove('RowPolicy', { namespace: 'shop', name: 'orders' });
  await reconciler.reconcile(key, AbortSignal.timeout(20_000));
  expect(cluster.get('DatabaseConnection', key)).toBeUndefined();
  expect(reconciler.get(key)).toBeUndefined();
});

test('lists the exempt roles and says which of them row security would bind', async () => {
  setSecret({ uri: postgres.uri() });
  await withClient(postgres.uri(), (client) => client.query('create role migrator; create role backup bypassrls'));
  cluster.put('DatabaseConnection', key, { ...spec, exemptRoles: ['migrator', 'backup', 'unknown'] });
  expect(await reconcile()).toMatchObject({ ready: 'True' });
  const status = () => cluster.get('DatabaseConnection', key)?.status;
  const listed = [{ name: 'migrator', bypassesRowSecurity: false }, { name: 'backup', bypassesRowSecurity: true }, { name: 'unknown', bypassesRowSecurity: false }];
  expect(status()?.exemptRoles).toEqual(listed);
  expect(findCondition(status()?.conditions, 'ExemptRolesBypass')).toMatchObject({ status: 'False', reason: 'RoleBound', message: expect.stringContaining('migrator, unknown') });
  await withClient(postgres.uri(), (client) => client.query('alter role migrator bypassrls; create role unknown superuser'));
  await reconcile();
  expect(findCondition(status()?.conditions, 'ExemptRolesBypass')?.status).toBe('True');
  cluster.put('DatabaseConnection', key, spec);
  await reconcile();
  expect([status()?.exemptRoles, findCondition(status()?.conditions, 'ExemptRolesBypass')]).toEqual([undefined, undefined]);
});

test('a database of another cluster stalls, naming it, until the annotation hands it over', async () => {
  setSecret({ uri: postgres.uri() });
  await reconcile();
  await reconciler.get(key)?.policies.install(AbortSignal.timeout(20_000));
  await reconciler.close();
  const other = createReconciler({ ...cluster, uid: 'other' });
  expect(await reconcile(other)).toEqual({ ready: 'False', reason: 'OwnedByAnother', stalled: true });
  expect(findCondition(cluster.get('DatabaseConnection', key)?.status.conditions, 'Ready')?.message).toContain('rowseal.dev/take-over=memory');
  cluster.put('DatabaseConnection', key, spec, { annotations: { 'rowseal.dev/take-over': 'memory' } });
  expect(await reconcile(other)).toEqual({ ready: 'True', reason: 'Connected', stalled: false });
  await other.close();
  cluster.put('DatabaseConnection', key, spec, { annotations: { 'rowseal.dev/take-over': 'other' } });
  expect((await reconcile(createReconciler())).ready).toBe('True');
});

// How long 10,000 policies take when nothing changes: reconciled end to end in two shapes, and linted once the catalog is read.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createPostgresEngine } from '../../src/adapters/postgres/engine.ts';
import { readCatalog } from '../../src/adapters/postgres/lint-catalog.ts';
import { openSession } from '../../src/adapters/postgres/session.ts';
import { runLints } from '../../src/lint/run-lints.ts';
import { findCondition } from '../../src/model/condition.ts';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import type { Database } from '../../src/ports/database.ts';
import { createRowPolicyReconciler } from '../../src/reconcile/row-policy.ts';
import { type Postgres, startPostgres } from '../../test/parts/postgres.ts';
import { quietLogger } from '../../test/parts/quiet-logger.ts';
import { claims, clock, never } from '../../test/postgres-policy/harness.ts';
import { createMemoryCluster, type MemoryCluster } from '../../test/reconcile/memory-cluster.ts';
import { measure, type Measured, medians, print } from './report.ts';

const rounds = Number(process.env['ROUNDS'] ?? 5);
const namespace = 'bench';
/** As many as the controller looks at at the same time. */
const concurrency = 4;

interface Shape {
  readonly name: string;
  readonly tables: number;
  readonly rulesPerTable: number;
  /** How many tables one RowPolicy has. */
  readonly tablesPerObject: number;
}

const shapes: readonly Shape[] = [
  { name: 'one RowPolicy with a selector, 2,500 tables of 4 policies', tables: 2_500, rulesPerTable: 4, tablesPerObject: Infinity },
  { name: '100 RowPolicies, each 25 tables of 4 policies', tables: 2_500, rulesPerTable: 4, tablesPerObject: 25 },
];

async function measureShape(shape: Shape): Promise<readonly Measured[]> {
  const postgres = await startPostgres({ settings: ['max_locks_per_transaction = 1024', 'shared_buffers = 256MB'] });
  const admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  try {
    progress(`making ${shape.tables} tables`);
    await makeTables(admin, shape);
    const database = await connect(postgres);
    const cluster = declare(shape);
    const reconcileAll = passes(cluster, database);
    progress('applying');
    await settle(cluster, reconcileAll);
    progress('measuring');
    await admin.query('vacuum analyze');
    const planned = [];
    for (let round = 0; round < rounds; round += 1) planned.push(await measure(reconcileAll));
    await database.close();
    const linted = await measureLints(postgres);
    return [
      medians(`planned without a change: ${shape.name}`, planned, 5_000),
      medians(`catalog read for the lints: ${shape.name}`, linted.read),
      medians(`linted once read: ${shape.name}`, linted.lint, 1_000),
    ];
  } finally {
    await admin.end();
    await postgres.stop();
  }
}

async function makeTables(admin: pg.Client, { tables }: Shape): Promise<void> {
  await admin.query('create role app');
  for (let from = 0; from < tables; from += 500) {
    const statements = Array.from({ length: Math.min(500, tables - from) }, (_, index) => `create table t${from + index} (id int primary key, tenant_id text not null, team int, note text); grant all on t${from + index} to app`);
    await admin.query(statements.join(';'));
  }
}

async function connect(postgres: Postgres): Promise<Database> {
  const randomness = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
  const target = { host: '127.0.0.1', port: postgres.port, database: 'postgres', user: 'postgres', password: postgres.password, tls: { mode: 'disable' as const }, claims };
  const database = await createPostgresEngine({ clock, randomness, logger: quietLogger() }).connect(target, { clusterUid: 'bench', leaseUid: 'bench', holdsLease: false }, never);
  // Witnesses are acted out once, after the first apply; that is not what is measured here.
  return { ...database, lint: { ...database.lint, runWitnesses: (witnesses) => Promise.resolve(witnesses.map(() => ({ result: 'NotRun', detail: 'left out', replay: [] }))) } };
}

function declare({ tables, rulesPerTable, tablesPerObject }: Shape): MemoryCluster {
  const cluster = createMemoryCluster();
  cluster.put('DatabaseConnection', { namespace, name: 'db' }, { engine: 'PostgreSQL', connection: { secretRef: { name: 'db' } } });
  const rules: RowPolicySpec['rules'] = (['Select', 'Insert', 'Update', 'Delete'] as const).slice(0, rulesPerTable).map((command) => {
    const predicate = { all: [{ column: 'tenant_id', op: 'Eq' as const, claim: ['tenant'] }] };
    return { name: command.toLowerCase(), roles: ['app'], commands: [command], ...(command === 'Insert' ? { check: predicate } : { using: predicate }) };
  });
  const put = (name: string, target: RowPolicySpec['target']) => cluster.put('RowPolicy', { namespace, name }, { databaseRef: { name: 'db' }, target, rules, approval: 'Automatic' });
  if (tablesPerObject === Infinity) put('all', { schema: 'public', selector: { hasColumns: ['tenant_id'] } });
  else {
    for (let from = 0; from < tables; from += tablesPerObject) put(`p${from}`, { schema: 'public', tables: Array.from({ length: tablesPerObject }, (_, index) => `t${from + index}`) });
  }
  return cluster;
}

/** One pass looks at every RowPolicy once, as the controller does at every poll. */
function passes(cluster: MemoryCluster, database: Database): () => Promise<void> {
  const reconciler = createRowPolicyReconciler({ cluster, databases: { get: () => database, onChange: () => () => undefined }, clock, logger: quietLogger(), metrics: { drifted: () => undefined, applied: () => undefined, captured: () => undefined }, enqueue: () => undefined });
  return async () => {
    const keys = cluster.list('RowPolicy').map(({ metadata }) => metadata);
    const worker = async (): Promise<void> => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) await reconciler.reconcile(key, never);
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
}

async function settle(cluster: MemoryCluster, reconcileAll: () => Promise<void>): Promise<void> {
  for (let pass = 1; pass <= 5; pass += 1) {
    await reconcileAll();
    const waiting = cluster.list('RowPolicy').filter(({ status }) => findCondition(status.conditions, 'Ready')?.status !== 'True');
    if (waiting.length === 0) return;
    if (pass === 5) throw new Error(`not applied: ${JSON.stringify(waiting[0]?.status.conditions)}`);
    await sleep(5_500);
  }
}

async function measureLints(postgres: Postgres) {
  const target = { host: '127.0.0.1', port: postgres.port, database: 'postgres', user: 'postgres', password: postgres.password, tls: { mode: 'disable' as const }, claims };
  const session = await openSession(target, never);
  const [read, lint] = [[], []] as [Awaited<ReturnType<typeof measure>>[], Awaited<ReturnType<typeof measure>>[]];
  for (let round = 0; round < rounds; round += 1) {
    let catalog: Awaited<ReturnType<typeof readCatalog>> | undefined;
    read.push(
      await measure(async () => {
        catalog = await session.exclusively(readCatalog, never);
      }),
    );
    lint.push(
      await measure(async () => {
        if (catalog !== undefined) runLints(catalog);
      }),
    );
  }
  await session.close();
  return { read, lint };
}

function progress(what: string): void {
  process.stderr.write(`${(performance.now() / 1000).toFixed(1)} s: ${what}\n`);
}

const only = process.argv.find((argument) => argument.startsWith('--shape='))?.slice('--shape='.length);
const measured: Measured[] = [];
for (const shape of shapes.filter((_, index) => only === undefined || only === String(index))) measured.push(...(await measureShape(shape)));
print(measured, process.argv.includes('--json'));

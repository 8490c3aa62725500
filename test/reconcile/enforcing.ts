// Several RowPolicies in a Cluster in memory over one real database, reconciled one by one, with a clock that can be moved on.
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { createPostgresEngine } from '../../src/adapters/postgres/engine.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import { findCondition } from '../../src/model/condition.ts';
import type { DatabaseConnectionSpec, RowPolicySpec, RowPolicyStatus } from '../../src/model/kinds.ts';
import type { Database } from '../../src/ports/database.ts';
import { createRowPolicyReconciler } from '../../src/reconcile/row-policy.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { quietLogger } from '../parts/quiet-logger.ts';
import { createMemoryCluster, type MemoryCluster } from './memory-cluster.ts';

export interface Enforcing {
  readonly cluster: MemoryCluster;
  readonly database: Database;
  /** Declares a RowPolicy of namespace `shop`. */
  declare(name: string, spec: Partial<RowPolicySpec>): void;
  connection(spec: Partial<DatabaseConnectionSpec>): void;
  remove(name: string): void;
  /** Reconciles the named ones in this order; all of them when none is named. */
  reconcile(...names: readonly string[]): Promise<void>;
  /** Lets all that wait for settled declarations go on. */
  settle(): void;
  status(name: string): RowPolicyStatus;
  /** `True Enforced`, and the like. */
  ready(name: string): string;
  message(name: string): string;
  close(): Promise<void>;
}

const namespace = 'shop';
const db = { namespace, name: 'db' };
const connectionSpec: DatabaseConnectionSpec = { engine: 'PostgreSQL', connection: { secretRef: { name: 'db' } } };

export const tenantRule: RowPolicySpec['rules'][number] = { name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['t'] }] } };

export async function startEnforcing(postgres: Postgres, database = 'postgres'): Promise<Enforcing> {
  const signal = new AbortController().signal;
  const engine = createPostgresEngine({ clock: systemClock, randomness: systemRandomness, logger: quietLogger() });
  const secret = { data: { uri: postgres.uri(database) }, annotations: {}, resourceVersion: '1' };
  const connected = await engine.connect(engine.target({ spec: connectionSpec, secret, secretName: 'Secret shop/db' }), { clusterUid: 'memory', leaseUid: 'one', holdsLease: false }, signal);
  const cluster = createMemoryCluster();
  cluster.put('DatabaseConnection', db, connectionSpec);
  let skippedMs = 0;
  const reconciler = createRowPolicyReconciler({
    cluster,
    databases: { get: () => connected, onChange: () => () => undefined },
    clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs },
    logger: quietLogger(),
    metrics: { drifted: () => undefined, applied: () => undefined, captured: () => undefined },
    enqueue: () => undefined,
  });
  const status = (name: string) => cluster.get('RowPolicy', { namespace, name })?.status ?? {};
  const readyOf = (name: string) => findCondition(status(name).conditions, 'Ready');
  return {
    cluster,
    database: connected,
    declare: (name, spec) => cluster.put('RowPolicy', { namespace, name }, { databaseRef: { name: 'db' }, target: { schema: 'public', tables: ['orders'] }, rules: [tenantRule], approval: 'Automatic', ...spec }),
    connection: (spec) => cluster.put('DatabaseConnection', db, { ...connectionSpec, ...spec }),
    remove: (name) => cluster.remove('RowPolicy', { namespace, name }),
    reconcile: async (...names) => {
      const all = names.length > 0 ? names : cluster.list('RowPolicy').map(({ metadata }) => metadata.name);
      for (const name of all) await reconciler.reconcile({ namespace, name }, signal);
    },
    settle: () => void (skippedMs += 5_000),
    status,
    ready: (name) => `${readyOf(name)?.status} ${readyOf(name)?.reason}`,
    message: (name) => readyOf(name)?.message ?? '',
    close: () => connected.close(),
  };
}

/** What a role sees with these claims in the setting that is read by default. */
export async function seen(admin: pg.Client, role: string, claims: object, sql: string): Promise<readonly unknown[]> {
  await admin.query('begin');
  try {
    await admin.query(`select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)`, [JSON.stringify(claims), role]);
    return (await admin.query<Record<string, unknown>>(sql)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await admin.query('rollback');
  }
}

export interface Shop {
  readonly postgres: Postgres;
  /** A superuser, to whom no policy matters. */
  readonly admin: pg.Client;
  /** Connected anew for each test. */
  readonly shop: Enforcing;
}

/** One server a file, on which `once` was run; before each test nothing of ours is left, `each` is run, and an operator connects. */
export function useShop({ once, each }: { readonly once: string; readonly each: string }): Shop {
  const at: { -readonly [Part in keyof Shop]?: Shop[Part] } = {};
  beforeAll(async () => {
    at.postgres = await startPostgres();
    at.admin = new pg.Client({ connectionString: at.postgres.uri() });
    await at.admin.connect();
    await at.admin.query(once);
  });
  afterAll(async () => {
    await at.admin?.end();
    await at.postgres?.stop();
  });
  beforeEach(async () => {
    await there(at.admin).query(`drop schema if exists rowseal cascade; ${each}`);
    at.shop = await startEnforcing(there(at.postgres));
  });
  afterEach(() => at.shop?.close());
  return {
    get postgres() {
      return there(at.postgres);
    },
    get admin() {
      return there(at.admin);
    },
    get shop() {
      return there(at.shop);
    },
  };
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the shop of the tests is not there yet');
  return value;
}

// The policy half of an operator in this process: declared states in a Cluster in memory, the real reconciler, one real session that can break.
import { setTimeout as sleep } from 'node:timers/promises';
import { readFacts } from '../../src/adapters/postgres/facts.ts';
import { createPolicyStore } from '../../src/adapters/postgres/policy-store.ts';
import { openSession, type RunQuery, type Session } from '../../src/adapters/postgres/session.ts';
import { findCondition } from '../../src/model/condition.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Database } from '../../src/ports/database.ts';
import { createRowPolicyReconciler } from '../../src/reconcile/row-policy.ts';
import type { Reconciler } from '../../src/reconcile/reconciler.ts';
import type { Postgres } from '../parts/postgres.ts';
import { quietLogger } from '../parts/quiet-logger.ts';
import { claims, never } from '../postgres-policy/harness.ts';
import { createMemoryCluster, type MemoryCluster } from '../reconcile/memory-cluster.ts';
import { specOf, type State } from './states.ts';

const namespace = 'shop';
const maxRounds = 60;
const metrics = { drifted: () => undefined, applied: () => undefined, captured: () => undefined };

export interface OperatorOptions {
  readonly postgres: Postgres;
  /** Where the database is reached; the server's own port when left out. */
  readonly port?: number;
  /** Which objects the next round looks at, and in which order; all when left out. */
  readonly choose?: (names: readonly string[]) => readonly string[];
  /** Runs before each statement of a transaction; may throw, or end the connection. */
  readonly beforeStatement?: (text: string, session: Session) => Promise<void>;
}

export interface Operator {
  readonly cluster: MemoryCluster;
  /** Makes the RowPolicies of the cluster those of the state, in one go. */
  declare(state: State): void;
  /** Reconciles whatever there is, over and over, until each object says Ready for its present generation and nothing is left to write. */
  converge(): Promise<void>;
  /** Forgets everything but the declared objects, as a new process does. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const cluster = createMemoryCluster();
  cluster.put('DatabaseConnection', { namespace, name: 'db' }, { engine: 'PostgreSQL', connection: { secretRef: { name: 'db' } } });
  const clock = createSkippingClock();
  let session: Session | undefined;
  let database: Database | undefined;
  let reconciler: Reconciler;

  const restart = async (): Promise<void> => {
    const before = session;
    session = undefined;
    database = undefined;
    await before?.close();
    const databases = { get: () => database, onChange: () => () => undefined };
    reconciler = createRowPolicyReconciler({ cluster, databases, clock, logger: quietLogger(), metrics, enqueue: () => undefined });
  };
  const connect = async (): Promise<void> => {
    if (database !== undefined) return;
    const opened = await open(options);
    session = opened;
    database = await databaseOver(opened, { clock, beforeStatement: options.beforeStatement });
    opened.lost.catch(() => {
      if (session === opened) database = undefined;
    });
  };
  const reconcileAll = async (): Promise<void> => {
    await connect();
    const names = cluster.list('RowPolicy').map(({ metadata }) => metadata.name);
    const chosen = options.choose?.(names) ?? names;
    await Promise.all(chosen.map((name) => reconciler.reconcile({ namespace, name }, never)));
    if (chosen.length < names.length) throw new Error('some were left out');
  };
  await restart();
  return {
    cluster,
    declare: (state) => declare(cluster, state),
    converge: async () => {
      for (let round = 1; round <= maxRounds; round += 1) {
        const writes = cluster.statusWrites();
        const count = cluster.list('RowPolicy').length;
        // A failure is the point of these tests: whoever meets one tries again, as the work queue does.
        const whole = await reconcileAll().then(() => true, () => false);
        // What one object let go may change what another has to say, so that only a round without any change is the last.
        if (whole && isReady(cluster) && cluster.statusWrites() === writes && cluster.list('RowPolicy').length === count) return;
        clock.skip(6_000);
        // A lost session says so only once the event loop has turned.
        await sleep(2);
      }
      throw new Error(`not converged: ${JSON.stringify(cluster.list('RowPolicy').map(({ metadata, status }) => [metadata.name, metadata.deletionTimestamp, status.conditions, status.plan]))}`);
    },
    restart,
    close: async () => session?.close(),
  };
}

function declare(cluster: MemoryCluster, state: State): void {
  for (const declared of state) cluster.put('RowPolicy', { namespace, name: declared.name }, specOf(declared));
  for (const { metadata } of cluster.list('RowPolicy')) if (!state.some(({ name }) => name === metadata.name)) cluster.remove('RowPolicy', metadata);
}

function isReady(cluster: MemoryCluster): boolean {
  return cluster.list('RowPolicy').every(({ metadata, status }) => {
    const ready = findCondition(status.conditions, 'Ready')?.status === 'True';
    return metadata.deletionTimestamp === undefined && ready && status.observedGeneration === metadata.generation;
  });
}

/** Waiting for a lock is real time; waiting for others to settle is skipped. */
function createSkippingClock(): Clock & { skip(ms: number): void } {
  let skippedMs = 0;
  return {
    now: () => new Date(Date.now() + skippedMs),
    monotonicMs: () => performance.now() + skippedMs,
    sleep: async (ms, signal) => {
      await sleep(Math.min(ms, 50), undefined, { signal });
    },
    skip: (ms) => {
      skippedMs += ms;
    },
  };
}

/** The advisory lock of a session that was just killed may still be held for a moment. */
async function open({ postgres, port = postgres.port }: OperatorOptions): Promise<Session> {
  const target = { host: '127.0.0.1', port, database: 'postgres', user: 'postgres', password: postgres.password, tls: { mode: 'disable' as const }, claims };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openSession(target, never);
    } catch (error) {
      if (attempt >= 200) throw error;
      await sleep(20);
    }
  }
}

async function databaseOver(session: Session, { clock, beforeStatement }: { readonly clock: Clock; readonly beforeStatement: OperatorOptions['beforeStatement'] }): Promise<Database> {
  const facts = await session.exclusively((query) => readFacts(query, session.target), never);
  const faulty: Session =
    beforeStatement === undefined
      ? session
      : {
          ...session,
          transaction: (action, signal) =>
            session.transaction((query) => {
              const breaking: RunQuery = async (text, values) => {
                await beforeStatement(text, session);
                return query(text, values);
              };
              return action(breaking);
            }, signal),
        };
  const checks = { checkSql: () => Promise.resolve(), runFixtureTests: () => Promise.resolve([]), runLiveTests: () => Promise.resolve([]) };
  return { facts, policies: { ...createPolicyStore({ session: faulty, clock, claims }), ...checks }, lost: session.lost, close: () => session.close() } as unknown as Database;
}

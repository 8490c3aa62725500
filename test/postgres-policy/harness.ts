// A RowPolicy flow on a real PostgreSQL without Kubernetes: declare, converge, look as an application role.
import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPolicyStore } from '../../src/adapters/postgres/policy-store.ts';
import { openSession, type Session } from '../../src/adapters/postgres/session.ts';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import { type Desired, desiredFrom, noNeighbours, membershipTables, rolesOf, verbatimTexts } from '../../src/policy/desired.ts';
import { resolveTables } from '../../src/policy/resolve.ts';
import { type DeletionPolicy, planDeletion } from '../../src/policy/deletion.ts';
import type { Observation } from '../../src/policy/observed.ts';
import { plan } from '../../src/policy/plan.ts';
import { hasWork, type Plan } from '../../src/policy/step.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { PolicyStore } from '../../src/ports/policy-database.ts';
import type { Postgres } from '../parts/postgres.ts';

export const clock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal });
  },
};

export const never = new AbortController().signal;
export const setting = 'request.jwt.claims';
export const claims = { type: 'Setting', setting } as const;
/** A database that knows of nothing: a table made anew under a governed name would be born closed. */
export const forget = 'truncate rowseal.guarded, rowseal.governed_table, rowseal.governed_policy, rowseal.policy_owner;';
export type Rules = RowPolicySpec['rules'];
type Declared = Pick<RowPolicySpec, 'rules'> & Partial<RowPolicySpec>;

export interface Flow {
  readonly session: Session;
  readonly store: PolicyStore;
  readonly admin: pg.Client;
  /** Plans and applies one RowPolicy `shop/<name>` until there is nothing left to do; returns the first plan. */
  converge(name: string, spec: Declared, neighbours?: Desired['governed']): Promise<Plan>;
  planOf(name: string, spec: Declared, neighbours?: Desired['governed']): Promise<Plan>;
  remove(name: string, policy: DeletionPolicy): Promise<Plan>;
  observe(name: string, tables: readonly string[]): Promise<Observation>;
  /** Rows that a role sees with these claims (undefined: none set). */
  see(role: string, claims: string | undefined, sql: string): Promise<readonly Record<string, unknown>[]>;
  close(): Promise<void>;
}

export function specOf(declared: Declared): RowPolicySpec {
  return { databaseRef: { name: 'shop' }, target: { schema: 'public', tables: ['orders'] }, ...declared };
}

export async function startFlow(postgres: Postgres, way: ClaimsConfiguration = claims): Promise<Flow> {
  const session = await openSession(
    { host: '127.0.0.1', port: postgres.port, database: 'postgres', user: 'postgres', password: postgres.password, tls: { mode: 'disable' }, claims: way },
    never,
  );
  const store = createPolicyStore({ session, clock, claims: way });
  await store.install(never);
  const admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();

  const planOf: Flow['planOf'] = async (name, declared, governed = []) => {
    const wanted = desiredFrom({ namespace: 'shop', name }, specOf(declared));
    const observation = await store.observe({ owner: wanted.owner, target: wanted.target, tables: membershipTables(wanted), roles: rolesOf(wanted), texts: verbatimTexts(wanted) }, never);
    const desired = resolveTables(wanted, observation, { ...noNeighbours, governed });
    const compiled = store.compile(desired, observation);
    await store.checkLiterals(compiled.literals, never);
    return plan(compiled, observation);
  };
  const observe: Flow['observe'] = (name, tables) => store.observe({ owner: `shop/${name}`, tables: tables.map((table) => ({ schema: 'public', table })), roles: [] }, never);
  return {
    session,
    store,
    admin,
    planOf,
    observe,
    converge: async (name, declared, governed) => {
      const first = await planOf(name, declared, governed);
      if (hasWork(first)) await store.apply(first, never);
      return first;
    },
    remove: async (name, policy) => {
      const deletion = planDeletion(`shop/${name}`, policy, await observe(name, []));
      if (hasWork(deletion)) await store.apply(deletion, never);
      return deletion;
    },
    see: async (role, claims, sql) => {
      await admin.query('begin');
      try {
        await admin.query(`select set_config('role', $1, true)`, [role]);
        if (claims !== undefined) await admin.query(`select set_config($1, $2, true)`, [setting, claims]);
        return (await admin.query(sql)).rows as Record<string, unknown>[];
      } finally {
        await admin.query('rollback');
      }
    },
    close: async () => {
      await admin.end();
      await session.close();
    },
  };
}

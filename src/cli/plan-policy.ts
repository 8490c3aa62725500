// Plans one RowPolicy over a read-only transaction of its own: no lock, no role, nothing installed.
import { withTemporaryProbe } from '../adapters/postgres/command-session.ts';
import { checkLiterals } from '../adapters/postgres/check-literals.ts';
import { renderIndexes } from '../adapters/postgres/build-indexes.ts';
import { compileDesired } from '../adapters/postgres/compile.ts';
import { connectionTarget } from '../adapters/postgres/connection-target.ts';
import { countRows } from '../adapters/postgres/count-rows.ts';
import { readFacts } from '../adapters/postgres/facts.ts';
import { observe } from '../adapters/postgres/observe.ts';
import { helperSchema } from '../adapters/postgres/policy-store.ts';
import { readOnly } from '../adapters/postgres/read-only-session.ts';
import { renderSteps } from '../adapters/postgres/render.ts';
import type { RunQuery } from '../adapters/postgres/session.ts';
import { checkSqlPredicate } from '../adapters/postgres/sql-predicate.ts';
import { RowsealError } from '../model/errors.ts';
import { describeObject, type Resource } from '../model/kinds.ts';
import { approvalDigest } from '../policy/approval.ts';
import type { CompiledState } from '../policy/compiled.ts';
import { diffOf, type TableDiff } from '../policy/diff.ts';
import { plan as planSteps } from '../policy/plan.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { ConnectionTarget, ServerFacts } from '../ports/database.ts';
import type { RenderedStep, RowCountRequest, RowCounts } from '../ports/policy-database.ts';
import { resolveTarget } from '../reconcile/connection-attempt.ts';
import { wantedIndexes } from '../reconcile/row-policy-indexes.ts';
import { type Look, lookAt } from '../reconcile/row-policy-look.ts';
import { databaseKeyOf, sqlMayUse, sqlTexts, widenRefusal } from '../reconcile/row-policy-scope.ts';
import { systemRandomness } from './system.ts';

export interface PlannedPolicy {
  readonly rowPolicy: string;
  readonly database: string;
  /** What an approval names; the same as in `status.plan`. */
  readonly digest: string;
  readonly steps: readonly RenderedStep[];
  readonly diff: readonly TableDiff[];
  /** Policies that are in force as declared and become the RowPolicy's own without a statement. */
  readonly adoptions: number;
  /** Only when asked for. */
  readonly rows?: RowCounts;
  /** The plan widens, and no grant allows that. */
  readonly notGranted?: RowsealError;
}

interface PlanOptions {
  readonly cluster: Cluster;
  /** Whether the rows that each role gains and loses are counted: that makes a probe role for as long as it takes. */
  readonly rows: boolean;
}

/** Throws what makes a plan impossible: missing objects, refused predicates or grants, an unreachable database. */
export async function planPolicy(policy: Resource<'RowPolicy'>, { cluster, rows }: PlanOptions, signal: AbortSignal): Promise<PlannedPolicy> {
  const target = await resolveTarget(connectionOf(policy, cluster), { cluster, engine: { target: connectionTarget } }, signal);
  const { desired, observation, compiled, facts } = await readOnly(target, 'plan', (query) => lookWith(query, { policy, cluster, target, signal }), signal);
  const mayUse = await sqlMayUse(policy, { cluster, signal });
  for (const { text } of sqlTexts(policy)) await checkSqlPredicate(text, mayUse);
  const plan = planSteps(compiled, observation);
  const notGranted = plan.steps.some((step) => step.widening) ? await widenRefusal(policy, { desired, observation, plan }, { cluster, signal }) : undefined;
  const request = { tests: policy.spec.tests ?? [], schema: policy.spec.target.schema, desired, observation, plan };
  return {
    rowPolicy: describeObject('RowPolicy', policy.metadata),
    database: `${target.database} at ${target.host}:${target.port}`,
    digest: approvalDigest(plan, policy.spec, observation, facts),
    steps: [...renderIndexes(wantedIndexes(policy, { desired, observation })), ...renderSteps(plan.steps)],
    diff: diffOf(plan, observation),
    adoptions: plan.adoptions.length,
    ...(rows && plan.steps.length > 0 ? { rows: await countedRows(target, request, signal) } : {}),
    ...(notGranted === undefined ? {} : { notGranted }),
  };
}

function countedRows(target: ConnectionTarget, request: RowCountRequest, signal: AbortSignal): Promise<RowCounts> {
  return withTemporaryProbe(target, { randomness: systemRandomness, purpose: 'plan' }, (tools) => countRows({ ...tools, claims: target.claims }, request, signal), signal);
}

function connectionOf(policy: Resource<'RowPolicy'>, cluster: Cluster): Resource<'DatabaseConnection'> {
  const key = databaseKeyOf(policy);
  const connection = cluster.get('DatabaseConnection', key);
  if (connection !== undefined) return connection;
  throw new RowsealError('BadReference', `${describeObject('DatabaseConnection', key)} is not among the manifests`, {
    object: describeObject('RowPolicy', policy.metadata),
    next: 'add it, or correct spec.databaseRef',
  });
}

interface Looked extends Look {
  readonly compiled: CompiledState;
  readonly facts: ServerFacts;
}

async function lookWith(query: RunQuery, { policy, cluster, target, signal }: { policy: Resource<'RowPolicy'>; cluster: Cluster; target: ConnectionTarget; signal: AbortSignal }): Promise<Looked> {
  const facts = await readFacts(query, target);
  const looked = await lookAt(policy, { cluster, signal, observe: (request) => observe(query, request) });
  const compiled = compileDesired(looked.desired, looked.observation, { claims: target.claims, helperSchema });
  await checkLiterals(query, compiled.literals);
  return { ...looked, compiled, facts };
}

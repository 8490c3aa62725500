// Reconciles RowPolicy: grants → observe → plan → checks and tests → apply → observe → status. The database is made equal to the manifest, or the status says why not.
import { RowsealError } from '../model/errors.ts';
import { describeObject, type Resource, type RowPolicyStatus } from '../model/kinds.ts';
import { desiredFrom, type Desired, membershipTables, rolesOf } from '../policy/desired.ts';
import type { Observation } from '../policy/observed.ts';
import { plan as planSteps } from '../policy/plan.ts';
import type { Plan } from '../policy/step.ts';
import type { PolicyDatabase, TestOutcome } from '../ports/policy-database.ts';
import { createDriftWatch } from './drift-watch.ts';
import type { Readiness } from './readiness.ts';
import type { Reconciler, ReconcileOutcome } from './reconciler.ts';
import { pollMs, reportFailure, type RowPolicyContext, type RowPolicyOptions, writeStatus } from './row-policy-report.ts';
import { removeRowPolicy } from './row-policy-removal.ts';
import { databaseKeyOf, neighboursOf, policiesOf, requireDatabase, requireGrants, requireWiden, sqlTexts, testedTables } from './row-policy-scope.ts';
import { driftedTables, planStatus, policyFailure, tablesStatus, testsStatus } from './row-policy-status.ts';

const maxReplans = 5;

export function createRowPolicyReconciler(options: RowPolicyOptions): Reconciler {
  const drift = createDriftWatch(options.logger);
  return {
    kind: 'RowPolicy',
    reconcile: async (key, signal): Promise<ReconcileOutcome> => {
      const policy = options.cluster.get('RowPolicy', key);
      if (policy === undefined) return {};
      const context = { policy, options, signal };
      if (policy.metadata.deletionTimestamp !== undefined) return removeRowPolicy(context);
      await options.cluster.setFinalizer(policy, (policy.spec.deletionPolicy ?? 'Retain') !== 'Retain', signal);
      const databaseKey = databaseKeyOf(policy);
      const database = options.databases.get(databaseKey);
      if (database !== undefined) {
        drift.watch(database, () => {
          for (const other of policiesOf(databaseKey, options.cluster)) options.enqueue(other.metadata);
        });
      }
      await enforce(context);
      return { requeueAfterMs: pollMs };
    },
  };
}

async function enforce(context: RowPolicyContext): Promise<void> {
  /** What is known so far; a failure later on still shows it. */
  const status: Partial<RowPolicyStatus> = {};
  try {
    const readiness = await enforceOnce(context, status);
    await writeStatus(context, readiness, { ...context.policy.status, ...status });
  } catch (error) {
    if (context.signal.aborted) throw error;
    await reportFailure(context, policyFailure(error), status);
  }
}

async function enforceOnce(context: RowPolicyContext, status: Partial<RowPolicyStatus>): Promise<Readiness> {
  const { policy, options, signal } = context;
  const { cluster, clock } = options;
  const database = requireDatabase(policy, cluster, options.databases).policies;
  const desired = desiredFrom(policy.metadata, policy.spec, await neighboursOf(policy, cluster, signal));
  await requireGrants(policy, desired, { cluster, signal });
  await checkSqlPredicates(context, database);
  let replans = 0;
  for (;;) {
    const { observation, plan } = await look(context, database, desired);
    status.plan = planStatus(plan, database.render(plan.steps));
    status.tables = tablesStatus(policy, observation, undefined);
    if (policy.spec.mode === 'Plan') return planOnly(plan);
    const request = { database, desired, observation, plan };
    const changed = plan.steps.length > 0;
    const tests = changed || testsAreDue(policy) ? await runTests(context, request, 'Fixture') : undefined;
    if (tests !== undefined) status.tests = testsStatus(tests);
    requirePassed(policy, tests ?? []);
    if (changed && (await change(context, request)) === 'Stale') {
      // Somebody changed the table between our look and our lock: look again, never apply what no longer fits.
      replans += 1;
      if (replans < maxReplans) continue;
      throw new RowsealError('DatabaseConflict', 'the tables keep changing while their policies are planned', { object: describeObject('RowPolicy', policy.metadata), next: 'it is tried again', retryable: true });
    }
    const after = changed ? await look(context, database, desired) : { observation, plan };
    status.plan = planStatus(after.plan, database.render(after.plan.steps));
    status.tables = tablesStatus(policy, after.observation, changed ? { plan, now: clock.now().toISOString() } : undefined);
    if (tests !== undefined) await liveTests(context, { ...request, observation: after.observation }, { status, before: tests });
    return { state: 'ready', reason: 'Enforced', message: `the policies of ${desired.tables.length === 1 ? 'the table' : `${desired.tables.length} tables`} equal the manifest` };
  }
}

interface Request {
  readonly database: PolicyDatabase;
  readonly desired: Desired;
  readonly observation: Observation;
  readonly plan: Plan;
}

async function look({ policy, signal }: RowPolicyContext, database: PolicyDatabase, desired: Desired): Promise<{ observation: Observation; plan: Plan }> {
  const tables = [...desired.tables.map((target) => target.table), ...membershipTables(desired), ...testedTables(policy)];
  const observation = await database.observe({ owner: desired.owner, tables, roles: rolesOf(desired) }, signal);
  return { observation, plan: planSteps(database.compile(desired, observation), observation) };
}

async function change(context: RowPolicyContext, { database, observation, plan }: Request): Promise<'Applied' | 'Stale'> {
  const { policy, options, signal } = context;
  if (plan.steps.some((step) => step.widening)) await requireWiden(policy, { cluster: options.cluster, signal });
  await database.install(signal);
  const outcome = await database.apply(plan, signal);
  if (outcome === 'Stale') return outcome;
  const drifted = driftedTables(policy, observation);
  if (drifted.length > 0) {
    options.cluster.notify(policy, { type: 'Warning', reason: 'DriftDetected', action: 'Mend', message: `${drifted.join(', ')} was changed outside and is as declared again` });
  }
  options.cluster.notify(policy, { type: 'Normal', reason: 'Applied', action: 'Apply', message: `${plan.steps.length} statements were applied` });
  options.logger.info({ rowPolicy: plan.owner, steps: plan.steps.length, digest: plan.digest, drifted }, 'policies applied');
  return outcome;
}

async function checkSqlPredicates({ policy, signal }: RowPolicyContext, database: PolicyDatabase): Promise<void> {
  for (const { where, text } of sqlTexts(policy)) {
    try {
      await database.checkSql(text, signal);
    } catch (error) {
      if (!(error instanceof RowsealError) || error.code !== 'BadPredicate') throw error;
      throw new RowsealError('BadPredicate', `${where}: ${error.message}`, { object: describeObject('RowPolicy', policy.metadata), ...(error.next === undefined ? {} : { next: error.next }) });
    }
  }
}

/** Tests run when something changes, and until all have passed once for this spec; not at every poll. */
function testsAreDue({ metadata, spec, status }: Resource<'RowPolicy'>): boolean {
  const passed = (status.tests ?? []).filter((test) => test.passed).length;
  return status.observedGeneration !== metadata.generation || passed !== (spec.tests ?? []).length;
}

async function runTests({ policy, signal }: RowPolicyContext, request: Request, when: 'Fixture' | 'Live'): Promise<readonly TestOutcome[]> {
  const tests = (policy.spec.tests ?? []).filter((test) => (test.fixture !== undefined) === (when === 'Fixture'));
  if (tests.length === 0) return [];
  // PostgreSQL 15 needs a function of ours to compile claims at all.
  if (when === 'Fixture') await request.database.install(signal);
  const testRequest = { tests, schema: policy.spec.target.schema, desired: request.desired, observation: request.observation };
  return when === 'Fixture' ? request.database.runFixtureTests(testRequest, signal) : request.database.runLiveTests(testRequest, signal);
}

async function liveTests(context: RowPolicyContext, request: Request, { status, before }: { status: Partial<RowPolicyStatus>; before: readonly TestOutcome[] }): Promise<void> {
  const live = await runTests(context, request, 'Live');
  status.tests = testsStatus([...before, ...live]);
  requirePassed(context.policy, live);
}

function requirePassed(policy: Resource<'RowPolicy'>, outcomes: readonly TestOutcome[]): void {
  const failed = outcomes.filter((outcome) => !outcome.passed);
  const [first] = failed;
  if (first === undefined) return;
  throw new RowsealError('TestFailed', `${failed.length === 1 ? 'a test' : `${failed.length} tests`} failed: ${first.name}: ${first.message ?? 'no reason given'}`, {
    object: describeObject('RowPolicy', policy.metadata),
    next: 'correct the rules or the test; status.tests has every outcome',
  });
}

function planOnly(plan: Plan): Readiness {
  if (plan.steps.length === 0) return { state: 'ready', reason: 'Enforced', message: 'mode is Plan, and the database equals the manifest' };
  return { state: 'stalled', reason: 'PlanOnly', message: `mode is Plan: ${plan.steps.length} statements are reported in status.plan and not applied; set mode: Enforce to apply them` };
}

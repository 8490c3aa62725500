// Reconciles RowPolicy: grants → observe → plan → checks and tests → apply → observe → status. The database is made equal to the manifest, or the status says why not.
import { pauseAnnotation } from '../model/annotations.ts';
import { RowsealError } from '../model/errors.ts';
import { describeObject, type ObjectKey, type Resource, type RowPolicyStatus } from '../model/kinds.ts';
import { approvalDigest } from '../policy/approval.ts';
import { guardChange, guardedTarget } from '../policy/guard.ts';
import type { Observation } from '../policy/observed.ts';
import { plan as planSteps } from '../policy/plan.ts';
import { sealPlan } from '../policy/plan-order.ts';
import { hasWork, type Plan } from '../policy/step.ts';
import { describeTable } from '../policy/table-name.ts';
import type { ServerFacts } from '../ports/database.ts';
import type { PolicyDatabase, RowCountRequest, TestOutcome } from '../ports/policy-database.ts';
import { createDriftWatch } from './drift-watch.ts';
import { exemptRolesOf } from './exempt-roles.ts';
import { createFindings } from './findings.ts';
import { createIndexBuilds, type IndexBuilds } from './index-builds.ts';
import type { Readiness } from './readiness.ts';
import type { Reconciler, ReconcileOutcome } from './reconciler.ts';
import { reportFindings } from './row-policy-findings.ts';
import { followBuild, saying, wantedIndexes, whileBuilding } from './row-policy-indexes.ts';
import { leaveFor } from './row-policy-leave.ts';
import { type Look, lookAt } from './row-policy-look.ts';
import { pauseOf } from './row-policy-pause.ts';
import { type Outcome, pollMs, reportFailure, type RowPolicyContext, type RowPolicyOptions, writeStatus } from './row-policy-report.ts';
import { withRowCounts } from './row-policy-rows.ts';
import { removeRowPolicy } from './row-policy-removal.ts';
import { contributorOf, contributorsOf, databaseKeyOf, policiesOf, requireDatabase, sqlMayUse, sqlTexts, widenRefusal } from './row-policy-scope.ts';
import { requirePassed, testAfter, testBefore, testsAreDue } from './row-policy-tests.ts';
import { Settling } from './settling.ts';
import { driftedTables, enforced, planStatus, policyFailure, tablesStatus, testsStatus } from './row-policy-status.ts';

const maxRounds = 8;

export function createRowPolicyReconciler(options: RowPolicyOptions): Reconciler {
  const drift = createDriftWatch(options.logger);
  const settlings = new Map<string, Settling>();
  const findings = createFindings(options.clock);
  const indexes = createIndexBuilds(options);
  return {
    kind: 'RowPolicy',
    reconcile: async (key, signal): Promise<ReconcileOutcome> => {
      const policy = options.cluster.get('RowPolicy', key);
      if (policy === undefined) return {};
      const context = { policy, options, signal };
      if (policy.metadata.deletionTimestamp !== undefined) return removeRowPolicy(context, settlingOf(settlings, databaseKeyOf(policy), options));
      await options.cluster.setFinalizer(policy, (policy.spec.deletionPolicy ?? 'Retain') !== 'Retain', signal);
      const databaseKey = databaseKeyOf(policy);
      const database = options.databases.get(databaseKey);
      if (database !== undefined) {
        drift.watch(database, () => {
          findings.touch(database);
          for (const other of policiesOf(databaseKey, options.cluster)) options.enqueue(other.metadata);
        });
      }
      const { againInMs, tables, changed } = await enforce({ ...context, settling: settlingOf(settlings, databaseKey, options), indexes });
      if (changed === true && database !== undefined) findings.touch(database);
      if (tables !== undefined && database !== undefined) await reportFindings(context, findings.of(database, { spec: policy.spec, exemptRoles: exemptRolesOf(policy, options.cluster), tables }, signal));
      return { requeueAfterMs: Math.min(pollMs, againInMs ?? pollMs) };
    },
  };
}

function settlingOf(settlings: Map<string, Settling>, { namespace, name }: ObjectKey, { clock }: RowPolicyOptions): Settling {
  const id = `${namespace}/${name}`;
  const settling = settlings.get(id) ?? new Settling(clock);
  settlings.set(id, settling);
  return settling;
}

async function enforce(context: Enforcing): Promise<Omit<Outcome, 'readiness'>> {
  const { policy, options, signal, settling } = context;
  const pause = pauseOf(policy, options.clock.now());
  if (pause.kind === 'Paused') {
    const message = `nothing is applied or mended until ${pause.until}, because of the annotation ${pauseAnnotation}`;
    await reportFailure(context, { state: 'stalled', reason: 'Paused', message });
    return { againInMs: pause.leftMs };
  }
  /** What is known so far; a failure later on still shows it. */
  const status: Partial<RowPolicyStatus> = {};
  try {
    if (pause.kind === 'Refused') options.cluster.notify(policy, { type: 'Warning', reason: 'PauseRefused', action: 'Pause', message: pause.why });
    const { readiness, ...outcome } = await enforceOnce(context, status);
    if (readiness.state === 'ready') await writeStatus(context, readiness, { ...policy.status, ...status });
    else await reportFailure(context, readiness, status);
    return outcome;
  } catch (error) {
    if (signal.aborted) throw error;
    if (hasNoSay(policy, error)) settling.report(contributorOf(policy), 'Nothing');
    await reportFailure(context, policyFailure(error), status);
    return {};
  }
}

/** Who was never granted anything must not keep others waiting. */
function hasNoSay({ status }: Resource<'RowPolicy'>, error: unknown): boolean {
  return error instanceof RowsealError && error.code === 'NotGranted' && (status.tables ?? []).length === 0;
}

async function enforceOnce(context: Enforcing, status: Partial<RowPolicyStatus>): Promise<Outcome> {
  const { policy, options, signal } = context;
  const { cluster, databases } = options;
  const connected = requireDatabase(policy, cluster, databases);
  const { policies: database, facts } = connected;
  const contributors = () => contributorsOf(databaseKeyOf(policy), cluster);
  if (policy.spec.mode !== 'Plan') await followRoleChanges(context, database);
  const applied = new Map<string, string>();
  let tests: readonly TestOutcome[] | undefined;
  for (let round = 1; round <= maxRounds; round += 1) {
    const look = await lookAndPlan(context, database);
    const { desired, observation, plan } = look;
    const digest = approvalDigest(plan, policy.spec, observation, facts);
    const needs = wantedIndexes(policy, look);
    status.plan = planStatus(digest, [...database.renderIndexes(needs), ...database.render(plan.steps)]);
    Object.assign(status, tablesStatus(policy, look, applied));
    const tables = desired.tables.map(({ table }) => table);
    const countRows = async (plan: NonNullable<RowPolicyStatus['plan']>) => {
      status.plan = await withRowCounts(context, { database, plan, request: testRequest(policy, look) });
    };
    if (policy.spec.mode === 'Plan') {
      context.settling.report(contributorOf(policy), 'Nothing');
      await countRows(status.plan);
      return { readiness: planOnly(plan.steps.length + needs.length), tables };
    }
    if (round === 1 && guardIsMissing(observation, facts)) {
      await database.install(signal);
      continue;
    }
    const build = await followBuild(context, context.indexes, { database: connected, needs });
    const asked = { policy, plan, observation, digest, settling: context.settling, contributors, approval: () => cluster.approval(policy, signal), widenRefusal: () => widenRefusal(policy, look, { cluster, signal }) };
    const leave = whileBuilding(await leaveFor(asked), build);
    const changed = hasWork(leave.portion);
    if (changed || (tests === undefined && testsAreDue(policy))) tests ??= await testBefore(context, { database, request: testRequest(policy, look) });
    if (tests !== undefined) status.tests = testsStatus(tests);
    requirePassed(policy, tests ?? []);
    // Whatever was applied, or went stale under our eyes, is looked at again: only a look that finds nothing to do ends here.
    if (changed) {
      await change({ ...context, applied }, { database, ...look, plan: leave.portion }, leave.approvedBy);
      continue;
    }
    if (tests !== undefined && leave.waiting === undefined) {
      tests = await testAfter(context, { database, request: testRequest(policy, look), before: tests });
      status.tests = testsStatus(tests);
      requirePassed(policy, tests);
    }
    if (leave.waiting !== undefined) await countRows(status.plan);
    return { ...(leave.waiting ?? { readiness: saying(enforced(look), build) }), tables, changed: applied.size > 0 };
  }
  throw new RowsealError('DatabaseConflict', 'the tables keep changing while their policies are planned', { object: describeObject('RowPolicy', policy.metadata), next: 'it is tried again', retryable: true });
}

/** Somebody switched the guard off, or it was never installed: it comes back before anything else, since a table may be made any moment. */
function guardIsMissing({ guard }: Observation, { capabilities }: ServerFacts): boolean {
  return guard?.active === false && capabilities.includes('EventTriggers');
}

/** A prepared statement would go on with the rows of a role that was revoked meanwhile. */
async function followRoleChanges({ options, signal }: RowPolicyContext, database: PolicyDatabase): Promise<void> {
  const tables = await database.followRoleChanges(signal);
  if (tables > 0) options.logger.info({ tables }, 'roles changed: cached plans over governed tables were thrown away');
}

interface Enforcing extends RowPolicyContext {
  readonly settling: Settling;
  readonly indexes: IndexBuilds;
}

interface PlannedLook extends Look {
  readonly plan: Plan;
}

interface Request extends PlannedLook {
  readonly database: PolicyDatabase;
}

async function lookAndPlan(context: RowPolicyContext, database: PolicyDatabase): Promise<PlannedLook> {
  const { policy, options, signal } = context;
  const look = await lookAt(policy, { cluster: options.cluster, signal, observe: (request) => database.observe(request, signal) });
  await checkSqlPredicates(context, database);
  try {
    const compiled = database.compile(look.desired, look.observation);
    const plan = planSteps(compiled, look.observation);
    if (plan.steps.length > 0) await database.checkLiterals(compiled.literals, signal);
    return { ...look, plan };
  } catch (error) {
    if (isMissingTable(error) && policy.spec.mode !== 'Plan') await guardMissing(look, { database, signal });
    throw error;
  }
}

function isMissingTable(error: unknown): boolean {
  return error instanceof RowsealError && error.code === 'DatabaseObjectMissing' && error.object?.startsWith('table ') === true;
}

/** A table that is missing may be made any moment: it shall be born closed, though nothing else can be applied yet. */
async function guardMissing({ desired, observation }: Look, { database, signal }: { readonly database: PolicyDatabase; readonly signal: AbortSignal }): Promise<void> {
  const guard = guardChange(guardedTarget(desired), observation.guard);
  if (guard === undefined) return;
  await database.install(signal);
  await database.apply(sealPlan({ owner: desired.owner, steps: [], observation, leaving: false, guard }), signal);
}

async function change(context: RowPolicyContext & { readonly applied: Map<string, string> }, { database, observation, plan }: Request, approvedBy: string | undefined): Promise<void> {
  const { policy, options, signal, applied } = context;
  await database.install(signal);
  if ((await database.apply(plan, signal)) === 'Stale') return;
  const drifted = applied.size === 0 ? driftedTables(policy, observation) : [];
  for (const { table } of plan.tables) applied.set(describeTable(table), options.clock.now().toISOString());
  options.metrics.applied(policy.metadata, plan.steps.length);
  if (drifted.length > 0) {
    options.metrics.drifted(policy.metadata, drifted.length);
    options.cluster.notify(policy, { type: 'Warning', reason: 'DriftDetected', action: 'Mend', message: `${drifted.join(', ')} was changed outside and is as declared again` });
  }
  const by = approvedBy === undefined ? '' : `, approved by ${approvedBy}`;
  options.cluster.notify(policy, { type: 'Normal', reason: 'Applied', action: 'Apply', message: `${appliedSentence(plan)}${by}` });
  options.logger.info({ rowPolicy: plan.owner, steps: plan.steps.length, adoptions: plan.adoptions.length, digest: plan.digest, approvedBy, drifted }, 'policies applied');
}

function appliedSentence({ steps, adoptions }: Plan): string {
  const done = [
    ...(steps.length === 0 ? [] : [`statements applied: ${steps.length}`]),
    ...(adoptions.length === 0 ? [] : [`policies adopted as they are: ${adoptions.length}`]),
  ];
  return done.length === 0 ? 'what is known of the tables was brought up to date' : done.join(', ');
}

async function checkSqlPredicates({ policy, options, signal }: RowPolicyContext, database: PolicyDatabase): Promise<void> {
  const mayUse = await sqlMayUse(policy, { cluster: options.cluster, signal });
  for (const { where, text } of sqlTexts(policy)) {
    try {
      await database.checkSql(text, signal, mayUse);
    } catch (error) {
      if (!(error instanceof RowsealError) || error.code !== 'BadPredicate') throw error;
      throw new RowsealError('BadPredicate', `${where}: ${error.message}`, { object: describeObject('RowPolicy', policy.metadata), ...(error.next === undefined ? {} : { next: error.next }) });
    }
  }
}

function testRequest({ spec }: Resource<'RowPolicy'>, { desired, observation, plan }: PlannedLook): RowCountRequest {
  return { tests: spec.tests ?? [], schema: spec.target.schema, desired, observation, plan };
}

function planOnly(statementCount: number): Readiness {
  if (statementCount === 0) return { state: 'ready', reason: 'Enforced', message: 'mode is Plan, and the database equals the manifest' };
  return { state: 'stalled', reason: 'PlanOnly', message: `mode is Plan: ${statementCount} statements are reported in status.plan and not applied; set mode: Enforce to apply them` };
}

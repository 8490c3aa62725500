// When a RowPolicy's tests run: before the apply on copies, and on the real tables what could not be copied; a failing one stops it.
import { RowsealError } from '../model/errors.ts';
import { describeObject, type Resource } from '../model/kinds.ts';
import type { PolicyDatabase, RowCountRequest, TestOutcome } from '../ports/policy-database.ts';
import type { RowPolicyContext } from './row-policy-report.ts';
import { widenRefusal } from './row-policy-scope.ts';

interface Testing {
  readonly database: PolicyDatabase;
  readonly request: RowCountRequest;
}

/** Tests run when something changes, and until all have passed once for this spec; not at every poll. */
export function testsAreDue({ metadata, spec, status }: Resource<'RowPolicy'>): boolean {
  const passed = (status.tests ?? []).filter((test) => test.passed).length;
  return status.observedGeneration !== metadata.generation || passed !== (spec.tests ?? []).length;
}

/** Tests with a fixture, and where something new is planned those without one as they will come out. */
export async function testBefore(context: RowPolicyContext, { database, request }: Testing): Promise<readonly TestOutcome[]> {
  if (request.tests.length === 0) return [];
  const { signal } = context;
  // PostgreSQL 15 needs a function of ours to compile claims at all.
  await database.install(signal);
  const onCopies = await database.runFixtureTests(withTests(request, (test) => test.fixture !== undefined), signal);
  // What somebody else changed is mended whatever the rows of now make of a test.
  const news = request.plan.steps.some((step) => step.mends !== true);
  return news && (await rehearsalRefusal(context, request)) === undefined ? [...onCopies, ...(await database.rehearseLiveTests(request, signal))] : onCopies;
}

/** The outcomes of before, and those of the tests that had none. */
export async function testAfter({ signal }: RowPolicyContext, { database, request, before }: Testing & { readonly before: readonly TestOutcome[] }): Promise<readonly TestOutcome[]> {
  const left = withTests(request, (test) => test.fixture === undefined && !before.some(({ name }) => name === test.name));
  return left.tests.length === 0 ? before : [...before, ...(await database.runLiveTests(left, signal))];
}

/** What widens is tried on real rows only for who may widen: its outcome tells of rows that nobody has let them see. */
export async function rehearsalRefusal({ policy, options, signal }: RowPolicyContext, { plan, desired, observation }: RowCountRequest): Promise<RowsealError | undefined> {
  return plan.steps.some((step) => step.widening) ? widenRefusal(policy, { desired, observation, plan }, { cluster: options.cluster, signal }) : undefined;
}

export function requirePassed(policy: Resource<'RowPolicy'>, outcomes: readonly TestOutcome[]): void {
  const failed = outcomes.filter((outcome) => !outcome.passed);
  const [first] = failed;
  if (first === undefined) return;
  throw new RowsealError('TestFailed', `${failed.length === 1 ? 'a test' : `${failed.length} tests`} failed: ${first.name}: ${first.message ?? 'no reason given'}`, {
    object: describeObject('RowPolicy', policy.metadata),
    next: 'correct the rules or the test; status.tests has every outcome',
  });
}

function withTests(request: RowCountRequest, wanted: (test: RowCountRequest['tests'][number]) => boolean): RowCountRequest {
  return { ...request, tests: request.tests.filter(wanted) };
}

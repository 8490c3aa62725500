// Runs in-manifest tests on the probe connection, each in one transaction that is rolled back (DESIGN §3, Tests).
import type { ClaimsConfiguration } from '../../model/claims.ts';
import type { PolicyChecks, PolicyTest, TestOutcome, TestRequest } from '../../ports/policy-database.ts';
import { countRows } from './count-rows.ts';
import { expectDenied, prepareDenied } from './denied.ts';
import { asActor, rolledBack } from './evaluate.ts';
import { expectedTable } from './expectation.ts';
import { buildFixture, copyNamed, withSqlTables } from './fixture.ts';
import { rehearseTests, runLive } from './live-tests.ts';
import type { Probe } from './probe.ts';
import type { RunQuery, Session } from './session.ts';
import { checkSqlPredicate } from './sql-predicate.ts';
import { compareRows, outcomeOf } from './test-outcome.ts';
import { onCopiesAs } from './tested-claims.ts';
import { testableRoles } from './testable-roles.ts';

export interface PolicyChecksOptions {
  readonly session: Pick<Session, 'exclusively'>;
  readonly probe: Probe;
  readonly claims: ClaimsConfiguration;
}

export function createPolicyChecks(options: PolicyChecksOptions): PolicyChecks {
  const run = async (request: TestRequest, one: RunOne, signal: AbortSignal): Promise<readonly TestOutcome[]> => {
    if (request.tests.length === 0) return [];
    const roles = await options.session.exclusively((query) => testableRoles(query, [...new Set(request.tests.map((test) => test.as.role))]), signal);
    const outcomes: TestOutcome[] = [];
    for (const test of request.tests) {
      const refusal = roles.get(test.as.role);
      const message = refusal ?? (await options.probe.use([test.as.role], (query) => outcomeOf(() => rolledBack(query, () => one(query, test))), signal));
      outcomes.push({ name: test.name, passed: message === undefined, ...(message === undefined ? {} : { message }) });
    }
    return outcomes;
  };
  return {
    checkSql: async (text, signal, mayUse) => {
      signal.throwIfAborted();
      await checkSqlPredicate(text, mayUse);
    },
    runFixtureTests: async (all, signal) => {
      const tests = all.tests.filter((test) => test.fixture !== undefined);
      const request = await options.session.exclusively((query) => withSqlTables({ ...all, tests }, query), signal);
      return run(request, (query, test) => runOnCopies(query, { request, test, ...options }), signal);
    },
    runLiveTests: (all, signal) => {
      const request = { ...all, tests: all.tests.filter((test) => test.fixture === undefined) };
      // A test has no key to sign with, so that claims are said on copies only.
      if (options.claims.type === 'Signed') return rehearseTests(options, { ...request, steps: [] }, { orElse: 'claims are signed here, and a test has no key: give the test a fixture' }, signal);
      return run(request, (query, test) => runLive(query, { request, test, ...options }), signal);
    },
    rehearseLiveTests: ({ plan, ...request }, signal) => rehearseTests(options, { ...request, steps: plan.steps }, {}, signal),
    countRows: (request, signal) => countRows(options, request, signal),
  };
}

/** Undefined when the test passed, else why not. */
type RunOne = (query: RunQuery, test: PolicyTest) => Promise<string | undefined>;

interface OneTest {
  readonly request: TestRequest;
  readonly test: PolicyTest;
  readonly claims: ClaimsConfiguration;
}

async function runOnCopies(query: RunQuery, one: OneTest): Promise<string | undefined> {
  const { expect } = one.test;
  const table = copyNamed(await buildFixture(query, one.request, one), expectedTable(expect));
  const { denied } = expect;
  const actor = onCopiesAs(one.test.as.role, one.test.as.claims ?? {}, one.claims);
  if (denied === undefined) return compareRows(query, one.test, { table, actor });
  const setting = await prepareDenied(query, table, denied);
  return asActor(query, actor, () => expectDenied(query, table, { denied, setting }));
}

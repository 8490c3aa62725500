// Runs in-manifest tests on the probe connection, each in one transaction that is rolled back (DESIGN §3, Tests).
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { RowsealError } from '../../model/errors.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import type { PolicyChecks, PolicyTest, TestOutcome, TestRequest } from '../../ports/policy-database.ts';
import { errorCodeOf, sayable } from './database-error.ts';
import { expectDenied, prepareDenied } from './denied.ts';
import { type Actor, asActor, rolledBack, statementLimitSeconds } from './evaluate.ts';
import { canonicalRows, compareCount, compareVisible, expectedTable, UnusableTest } from './expectation.ts';
import { buildFixture, copyNamed, withSqlTables } from './fixture.ts';
import { countRows } from './count-rows.ts';
import type { Probe } from './probe.ts';
import type { RunQuery, Session } from './session.ts';
import { checkSqlPredicate } from './sql-predicate.ts';
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
    checkSql: async (text, signal) => {
      signal.throwIfAborted();
      await checkSqlPredicate(text);
    },
    runFixtureTests: async (all, signal) => {
      const tests = all.tests.filter((test) => test.fixture !== undefined);
      const request = await options.session.exclusively((query) => withSqlTables({ ...all, tests }, query), signal);
      return run(request, (query, test) => runOnCopies(query, { request, test, ...options }), signal);
    },
    runLiveTests: (all, signal) => {
      const request = { ...all, tests: all.tests.filter((test) => test.fixture === undefined) };
      return run(request, (query, test) => runLive(query, { request, test, ...options }), signal);
    },
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
  if (denied === undefined) return compareRows(query, one, { table, actor });
  const setting = await prepareDenied(query, table, denied);
  return asActor(query, actor, () => expectDenied(query, table, { denied, setting }));
}

async function runLive(query: RunQuery, one: OneTest): Promise<string | undefined> {
  if (one.test.expect.denied !== undefined) return 'a denied write is tested on copies only: give the test a fixture';
  const tables = one.request.observation.tables.filter((table) => table.table.schema === one.request.schema);
  const { claims, test } = one;
  if (claims.type === 'Signed') return 'claims are signed here, and a test has no key: give the test a fixture';
  const actor = { role: test.as.role, ...(claims.type === 'Setting' ? { claims: { setting: claims.setting, text: JSON.stringify(test.as.claims ?? {}) } } : {}) };
  return compareRows(query, one, { table: copyNamed(tables, expectedTable(test.expect)), actor });
}

async function compareRows(query: RunQuery, one: OneTest, { table, actor }: { readonly table: ObservedTable; readonly actor: Actor }): Promise<string | undefined> {
  const { count, visible } = one.test.expect;
  const expected = await canonicalRows(query, table, visible ?? []);
  return asActor(query, actor, () => (count === undefined ? compareVisible(query, table, expected) : compareCount(query, table, count)));
}

/** A failure of what the test wrote is its outcome; one of ours, or of the connection, is thrown. */
async function outcomeOf(action: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof UnusableTest) return error.message;
    if (error instanceof RowsealError) return error.describe();
    const code = errorCodeOf(error);
    if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) throw error;
    return code === '57014' ? `it took longer than ${statementLimitSeconds} s` : `it failed: ${sayable(error)}`;
  }
}

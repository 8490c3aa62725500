// Runs in-manifest tests on the probe connection, each in one transaction that is rolled back (DESIGN §3, Tests).
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { RowsealError } from '../../model/errors.ts';
import type { Randomness } from '../../ports/clock.ts';
import type { PolicyChecks, PolicyTest, TestOutcome, TestRequest } from '../../ports/policy-database.ts';
import { errorCodeOf, sayable } from './database-error.ts';
import { canonicalRows, compareCount, compareVisible, expectedTable, UnusableTest } from './expectation.ts';
import type { Probe } from './probe.ts';
import { quoteName } from './quote.ts';
import { buildScratch, copyNamed, insertRow } from './scratch.ts';
import type { RunQuery, Session } from './session.ts';
import { checkSqlPredicate } from './sql-predicate.ts';
import { testableRoles } from './testable-roles.ts';

export interface PolicyChecksOptions {
  readonly session: Pick<Session, 'exclusively'>;
  readonly probe: Probe;
  readonly randomness: Randomness;
  readonly claims: ClaimsConfiguration;
}

const settings = `set local statement_timeout = '5s'; set local lock_timeout = '2s'; set local search_path = pg_catalog, pg_temp; set local row_security = on`;

export function createPolicyChecks(options: PolicyChecksOptions): PolicyChecks {
  const run = async (request: TestRequest, tests: readonly PolicyTest[], one: RunOne, signal: AbortSignal): Promise<readonly TestOutcome[]> => {
    if (tests.length === 0) return [];
    const roles = await options.session.exclusively((query) => testableRoles(query, [...new Set(tests.map((test) => test.as.role))]), signal);
    const outcomes: TestOutcome[] = [];
    for (const test of tests) {
      const refusal = roles.get(test.as.role);
      const message = refusal ?? (await options.probe.use([test.as.role], (query) => rolledBack(query, () => one(query, request, test)), signal));
      outcomes.push({ name: test.name, passed: message === undefined, ...(message === undefined ? {} : { message }) });
    }
    return outcomes;
  };
  return {
    checkSql: async (text, signal) => {
      signal.throwIfAborted();
      await checkSqlPredicate(text);
    },
    runFixtureTests: (request, signal) =>
      run(request, request.tests.filter((test) => test.fixture !== undefined), (query, all, test) => runOnCopies(query, { request: all, test, ...options }), signal),
    runLiveTests: (request, signal) =>
      run(request, request.tests.filter((test) => test.fixture === undefined), (query, all, test) => runLive(query, { request: all, test, ...options }), signal),
  };
}

/** Undefined when the test passed, else why not. */
type RunOne = (query: RunQuery, request: TestRequest, test: PolicyTest) => Promise<string | undefined>;

interface OneTest {
  readonly request: TestRequest;
  readonly test: PolicyTest;
  readonly randomness: Randomness;
  readonly claims: ClaimsConfiguration;
}

async function runOnCopies(query: RunQuery, one: OneTest): Promise<string | undefined> {
  const schema = `rowseal_test_${Buffer.from(one.randomness.bytes(8)).toString('hex')}`;
  const scratch = await buildScratch(query, { ...one, schema });
  const table = copyNamed(scratch.tables, expectedTable(one.test.expect));
  const expected = await canonicalRows(query, table, one.test.expect.visible ?? []);
  await become(query, one);
  const { denied, count } = one.test.expect;
  if (denied !== undefined) return expectDenied(() => insertRow(query, table, denied.row ?? {}));
  return count === undefined ? compareVisible(query, table, expected) : compareCount(query, table, count);
}

async function runLive(query: RunQuery, one: OneTest): Promise<string | undefined> {
  const { denied, count, visible } = one.test.expect;
  if (denied !== undefined) return 'a denied write is tested on copies only: give the test a fixture';
  const tables = one.request.observation.tables.filter((table) => table.table.schema === one.request.schema);
  const table = copyNamed(tables, expectedTable(one.test.expect));
  await query('set transaction read only');
  const expected = await canonicalRows(query, table, visible ?? []);
  await become(query, one);
  return count === undefined ? compareVisible(query, table, expected) : compareCount(query, table, count);
}

/** From here on whatever a predicate does, it does as the tested role; stepping out of it reaches the probe, which owns copies only. */
async function become(query: RunQuery, { test, claims }: OneTest): Promise<void> {
  if (claims.type !== 'Role') await query('select set_config($1, $2, true)', [claims.setting, JSON.stringify(test.as.claims ?? {})]);
  await query(`set local role ${quoteName(test.as.role)}`);
}

/** A missing privilege has the same SQLSTATE as a refused row, so the server's routine tells them apart. */
async function expectDenied(write: () => Promise<void>): Promise<string | undefined> {
  try {
    await write();
    return 'the row was written, though it should have been refused';
  } catch (error) {
    const routine = error instanceof Error && 'routine' in error ? error.routine : undefined;
    if (errorCodeOf(error) === '42501' && routine === 'ExecWithCheckOptions') return undefined;
    throw error;
  }
}

async function rolledBack(query: RunQuery, action: () => Promise<string | undefined>): Promise<string | undefined> {
  await query('begin');
  try {
    await query(settings);
    return await action();
  } catch (error) {
    if (error instanceof UnusableTest) return error.message;
    if (error instanceof RowsealError) return error.describe();
    const code = errorCodeOf(error);
    if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) throw error;
    return code === '57014' ? 'it took longer than 5 s' : `it failed: ${sayable(error)}`;
  } finally {
    await query('rollback').catch(() => undefined);
  }
}

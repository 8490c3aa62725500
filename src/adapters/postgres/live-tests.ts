// Tests without a fixture: on the real tables as they are, or before a plan is applied on copies of their rows under what it will make.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { RowsealError } from '../../model/errors.ts';
import type { Step } from '../../policy/step.ts';
import type { PolicyTest, TestOutcome, TestRequest } from '../../ports/policy-database.ts';
import { errorCodeOf } from './database-error.ts';
import { expectedTable } from './expectation.ts';
import { copyNamed } from './fixture.ts';
import { rehearse, type RehearsalOptions, type Stage } from './rehearsal.ts';
import { onCopy } from './retarget.ts';
import type { RunQuery } from './run-query.ts';
import { compareRows, outcomeOf } from './test-outcome.ts';
import { testableRoles } from './testable-roles.ts';
import { onCopiesAs } from './tested-claims.ts';

const deniedElsewhere = 'a denied write is tested on copies only: give the test a fixture';

export async function runLive(query: RunQuery, { request, test, claims }: { readonly request: TestRequest; readonly test: PolicyTest; readonly claims: ClaimsConfiguration }): Promise<string | undefined> {
  if (test.expect.denied !== undefined) return deniedElsewhere;
  const tables = request.observation.tables.filter((table) => table.table.schema === request.schema);
  const actor = { role: test.as.role, ...(claims.type === 'Role' ? {} : { claims: { setting: claims.setting, text: JSON.stringify(test.as.claims ?? {}) } }) };
  return compareRows(query, test, { table: copyNamed(tables, expectedTable(test.expect)), actor });
}

interface RehearsedTests extends TestRequest {
  readonly steps: readonly Step[];
}

/** Outcomes of the tests that could be rehearsed; of the others none, or `orElse` as their failure. */
export async function rehearseTests(options: RehearsalOptions, request: RehearsedTests, { orElse }: { readonly orElse?: string }, signal: AbortSignal): Promise<readonly TestOutcome[]> {
  const tests = request.tests.filter((test) => test.fixture === undefined);
  if (tests.length === 0) return [];
  const against = await options.session.exclusively((query) => testableRoles(query, tests.map((test) => test.as.role)), signal);
  const messages = new Map<string, string | undefined>();
  for (const test of tests) {
    const refusal = against.get(test.as.role) ?? (test.expect.denied === undefined ? undefined : deniedElsewhere);
    if (refusal !== undefined) messages.set(test.name, refusal);
  }
  const open = tests.filter((test) => !messages.has(test.name));
  const { desired, observation, steps, schema } = request;
  const tables = observation.tables.filter(({ table }) => table.schema === schema && open.some((test) => expectedTable(test.expect) === table.table));
  const roles = [...new Set(open.map((test) => test.as.role))];
  const action = (stage: Stage) => stage.under('Then', (query) => tryTests(query, { stage, tests: open, claims: options.claims }));
  const tried = open.length === 0 ? undefined : await rehearse(options, { desired, observation, steps, tables, roles }, { refuse: () => undefined, action }, signal).catch(orUntried);
  for (const [name, message] of tried ?? []) messages.set(name, message);
  if (orElse !== undefined) for (const test of open) if (!messages.has(test.name)) messages.set(test.name, orElse);
  return [...messages].map(([name, message]) => ({ name, passed: message === undefined, ...(message === undefined ? {} : { message }) }));
}

/** A table that cannot be copied for what it is made of is no failure of a test: it is tried on the real one. */
function orUntried(error: unknown): undefined {
  if (error instanceof RowsealError || !/^(?!57)[0-9A-Z]{5}$/.test(errorCodeOf(error) ?? '')) throw error;
}

interface Trying {
  readonly stage: Stage;
  readonly tests: readonly PolicyTest[];
  readonly claims: ClaimsConfiguration;
}

/** Why each test fails, by name; undefined for those that pass. An owner that no policy binds is not tried: the copies are not its own. */
async function tryTests(query: RunQuery, { stage, tests, claims }: Trying): Promise<ReadonlyMap<string, string | undefined>> {
  const messages = new Map<string, string | undefined>();
  for (const test of tests) {
    const table = stage.tables.find((candidate) => candidate.table.table === expectedTable(test.expect));
    if (table === undefined || stage.standing(test.as.role, table, 'Then') === 'SeesAll') continue;
    const actor = onCopiesAs(test.as.role, test.as.claims ?? {}, claims);
    messages.set(test.name, await outcomeOf(() => compareRows(query, test, { table: onCopy(table), actor })));
  }
  return messages;
}

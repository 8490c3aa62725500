// What one test comes to: the visible rows against the expected ones, and failures of what the test wrote as its outcome.
import { RowsealError } from '../../model/errors.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import type { PolicyTest } from '../../ports/policy-database.ts';
import { errorCodeOf, sayable } from './database-error.ts';
import { type Actor, asActor, statementLimitSeconds } from './evaluate.ts';
import { canonicalRows, compareCount, compareVisible, UnusableTest } from './expectation.ts';
import type { RunQuery } from './run-query.ts';

/** As the actor: undefined when exactly the expected rows are visible in the table, else why not. */
export async function compareRows(query: RunQuery, test: PolicyTest, { table, actor }: { readonly table: ObservedTable; readonly actor: Actor }): Promise<string | undefined> {
  const { count, visible } = test.expect;
  const expected = await canonicalRows(query, table, visible ?? []);
  return asActor(query, actor, () => (count === undefined ? compareVisible(query, table, expected) : compareCount(query, table, count)));
}

/** A failure of what the test wrote is its outcome; one of ours, or of the connection, is thrown. */
export async function outcomeOf(action: () => Promise<string | undefined>): Promise<string | undefined> {
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

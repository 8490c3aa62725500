// One short connection that only reads: prepared as every session of ours, in one read-only snapshot; no lock, no role, nothing installed.
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, endClient } from './connection.ts';
import { describeTarget, statementError } from './database-error.ts';
import type { RunQuery } from './run-query.ts';
import { prepareSession } from './session-start.ts';

/** `purpose` ends the server's name of the connection. */
export async function readOnly<T>(target: ConnectionTarget, purpose: string, action: (query: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T> {
  const client = await connectClient(target, { purpose }, signal);
  const query: RunQuery = async <Row extends object>(text: string, values: readonly unknown[] = []) => (await client.query<Row>(text, [...values])).rows;
  try {
    await prepareSession(query);
    await query('begin isolation level repeatable read read only');
    return await action(query);
  } catch (error) {
    throw statementError(error, 'reading the catalog', describeTarget(target));
  } finally {
    await endClient(client);
  }
}

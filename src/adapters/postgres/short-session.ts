// A session for one verb: transactions on a plain connection, without the lock that only the applying one holds.
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, endClient } from './connection.ts';
import { inTransaction } from './in-transaction.ts';
import type { RunQuery } from './run-query.ts';
import type { Session } from './session.ts';
import { prepareSession } from './session-start.ts';

export interface ShortSession extends Pick<Session, 'target' | 'transaction' | 'exclusively'> {
  close(): Promise<void>;
}

/** Throws as connectClient does. */
export async function openShortSession(target: ConnectionTarget, purpose: string, signal: AbortSignal): Promise<ShortSession> {
  const client = await connectClient(target, { purpose }, signal);
  const query: RunQuery = async <Row extends object>(text: string, values: readonly unknown[] = []) => (await client.query<Row>(text, [...values])).rows;
  await prepareSession(query);
  return {
    target,
    exclusively: async (action, signal) => {
      signal.throwIfAborted();
      return action(query);
    },
    transaction: async (action, signal) => {
      signal.throwIfAborted();
      return inTransaction(query, action);
    },
    close: () => endClient(client),
  };
}

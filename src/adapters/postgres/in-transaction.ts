// One transaction around an action: committed when it ends well, rolled back when it throws.
import type { RunQuery } from './run-query.ts';

export async function inTransaction<T>(query: RunQuery, action: (query: RunQuery) => Promise<T>): Promise<T> {
  await query('begin');
  try {
    const result = await action(query);
    await query('commit');
    return result;
  } catch (error) {
    // On a dead connection there is nothing to roll back to: the server does it.
    await query('rollback').catch(() => undefined);
    throw error;
  }
}

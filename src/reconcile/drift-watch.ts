// Looks at every RowPolicy of a database again as soon as somebody else changed something in it.
import { describeError } from '../model/errors.ts';
import type { Database } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';

export interface DriftWatch {
  /** Begins to listen on a database, once; it ends with the database's session. */
  watch(database: Database, changed: () => void): void;
}

export function createDriftWatch(logger: Logger): DriftWatch {
  const watched = new WeakSet<Database>();
  return {
    watch: (database, changed) => {
      if (watched.has(database)) return;
      watched.add(database);
      const ended = new AbortController();
      database.lost.catch(() => ended.abort());
      // Hearing nothing is no failure: the poll finds the same a few seconds later.
      database.policies.onDrift(changed, ended.signal).catch((error: unknown) => logger.warn({ error: describeError(error) }, 'drift is found by polling only'));
    },
  };
}

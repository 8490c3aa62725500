// Index builds that run beside the reconciling: nobody waits for them but the changes of the RowPolicy that wants them.
import { describeError } from '../model/errors.ts';
import type { IndexNeed } from '../policy/index-work.ts';
import type { Clock } from '../ports/clock.ts';
import type { Database } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';

/** Building: changes wait. Failed: they don't, since a missing index is no reason to leave rows open. */
export type IndexBuild = { readonly state: 'Building'; readonly progress: string } | { readonly state: 'Failed'; readonly message: string };

export interface IndexBuilds {
  /** Begins to build what is missing, unless it is being built or failed a moment ago. `done` is called when it ended. */
  follow(owner: string, wanted: Wanted, signal: AbortSignal): Promise<IndexBuild | undefined>;
}

interface Wanted {
  readonly database: Database;
  readonly needs: readonly IndexNeed[];
  readonly done: () => void;
}

interface Running {
  readonly database: Database;
  failure?: { readonly message: string; readonly atMs: number };
}

const retryAfterMs = 60_000;

export function createIndexBuilds({ clock, logger }: { readonly clock: Pick<Clock, 'monotonicMs'>; readonly logger: Logger }): IndexBuilds {
  const builds = new Map<string, Running>();
  const start = (owner: string, { database, needs, done }: Wanted): void => {
    const running: Running = { database };
    builds.set(owner, running);
    const ended = new AbortController();
    database.lost.catch(() => ended.abort());
    logger.info({ rowPolicy: owner, indexes: needs.length }, 'creating indexes');
    void run({ owner, running, needs, done }, ended.signal);
  };
  const run = async ({ owner, running, needs, done }: Omit<Wanted, 'database'> & { readonly owner: string; readonly running: Running }, signal: AbortSignal): Promise<void> => {
    try {
      await running.database.policies.buildIndexes(needs, signal);
      if (builds.get(owner) === running) builds.delete(owner);
    } catch (error) {
      running.failure = { message: describeError(error), atMs: clock.monotonicMs() };
      logger.warn({ rowPolicy: owner, error: describeError(error) }, 'an index could not be created');
    }
    done();
  };
  return {
    follow: async (owner, wanted, signal) => {
      const before = builds.get(owner);
      const { failure } = before ?? {};
      if (wanted.needs.length === 0) {
        if (failure !== undefined) builds.delete(owner);
        return undefined;
      }
      if (failure !== undefined && clock.monotonicMs() - failure.atMs < retryAfterMs && before?.database === wanted.database) return { state: 'Failed', message: failure.message };
      if (before === undefined || failure !== undefined || before.database !== wanted.database) start(owner, wanted);
      return { state: 'Building', progress: (await wanted.database.policies.indexProgress(signal)) ?? 'waiting for its turn' };
    },
  };
}

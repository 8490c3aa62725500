// The captures that run: one for every pair of database and log, whatever number of AuditPolicies declare it (DESIGN §5, Capturing).
import { describeError } from '../model/errors.ts';
import type { AuditEnd, AuditKeeper, RunningAudit } from '../ports/audit-runtime.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Database } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import type { LogWriter } from '../ports/log-writer.ts';

export interface AuditGroups {
  /** The capture of this group with these settings in force; started, restarted on a new connection or log, or configured. */
  ensure(group: string, parts: { database: Database; log: LogWriter; settings: AuditSettings }, signal: AbortSignal): Promise<RunningAudit>;
  /** Stops the capture if it runs. */
  stop(group: string): Promise<void>;
  /** Stops the capture, and seals that nobody declares it any more. */
  end(group: string, parts: { database: Database; log: LogWriter; reason: AuditEnd['reason'] }, signal: AbortSignal): Promise<void>;
  /** The same, and removes what it installed. */
  remove(group: string, parts: { database: Database; log: LogWriter }, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface AuditGroupOptions {
  readonly keeper: AuditKeeper;
  readonly logger: Logger;
  /** Told that a group's capture ended by itself. */
  readonly onFailure: (group: string) => void;
}

interface Running {
  readonly database: Database;
  readonly log: LogWriter;
  readonly audit: RunningAudit;
  failure?: unknown;
}

export function createAuditGroups(options: AuditGroupOptions): AuditGroups {
  const running = new Map<string, Running>();
  const exclusively = createTurns();

  const stop = async (group: string): Promise<void> => {
    const current = running.get(group);
    running.delete(group);
    if (current === undefined) return;
    await current.audit.stop().catch((error: unknown) => {
      options.logger.warn({ group, error: describeError(error) }, 'capture did not stop cleanly');
    });
  };

  const ensure: AuditGroups['ensure'] = async (group, { database, log, settings }, signal) => {
    const current = running.get(group);
    if (current !== undefined && current.failure === undefined && current.database === database && current.log === log) {
      await current.audit.configure(settings, signal);
      return current.audit;
    }
    await stop(group);
    if (current?.failure !== undefined) throw current.failure;
    const audit = await options.keeper.start(database, log, settings, signal);
    const started: Running = { database, log, audit };
    running.set(group, started);
    audit.failed.catch((error: unknown) => {
      started.failure = error;
      options.onFailure(group);
    });
    return audit;
  };

  return {
    ensure: (group, parts, signal) => exclusively(group, () => ensure(group, parts, signal)),
    stop: (group) => exclusively(group, () => stop(group)),
    end: (group, { database, log, reason }, signal) =>
      exclusively(group, async () => {
        await stop(group);
        await options.keeper.end(database, log, { reason, left: 'Retained' }, signal);
      }),
    remove: (group, { database, log }, signal) =>
      exclusively(group, async () => {
        await stop(group);
        // If we die after it, the finalizer brings us here again, and the log says already that it ended.
        await options.keeper.end(database, log, { reason: 'PolicyDeleted', left: 'Removed' }, signal);
        await options.keeper.remove(database, log, signal);
      }),
    close: async () => {
      await Promise.all([...running.keys()].map((group) => exclusively(group, () => stop(group))));
    },
  };
}

/** Runs actions of one key one after the other, in the order of the calls. */
function createTurns(): <T>(key: string, action: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, action) => {
    const before = last.get(key) ?? Promise.resolve();
    const turn = before.then(action, action);
    const settled = turn.catch(() => undefined);
    last.set(key, settled);
    try {
      return await turn;
    } finally {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}

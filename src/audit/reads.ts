// Keeps the source of logins and reads running beside a capture, as the settings ask for it.
import type { RowsealError } from '../model/errors.ts';
import type { AuditDatabase } from '../ports/audit-database.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { Clock } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { type LogSource, startLogSource } from './log-source.ts';

export interface ReadsOptions {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly clock: Clock;
}

export interface Reads {
  configure(settings: AuditSettings, signal: AbortSignal): Promise<void>;
  readonly status: () => { readonly problem?: RowsealError } | undefined;
  end(): Promise<void>;
}

/** `signal` ends it at once. */
export function createReads({ database, writer, clock }: ReadsOptions, lifetime: AbortSignal): Reads {
  let running: { readonly settings: string; readonly source: LogSource } | undefined;
  const end = async (): Promise<void> => {
    const ended = running;
    running = undefined;
    await ended?.source.end();
  };
  return {
    configure: async ({ reads }, signal) => {
      if (reads === undefined) return end();
      const settings = JSON.stringify(reads);
      if (running?.settings === settings) return;
      await end();
      const facts = await database.facts(signal);
      const source = startLogSource({ log: database.serverLog(reads), writer, clock, settings: reads, system: facts.systemIdentifier, database: facts.database }, lifetime);
      running = { settings, source };
    },
    status: () => {
      if (running === undefined) return undefined;
      const problem = running.source.problem();
      return problem === undefined ? {} : { problem };
    },
    end,
  };
}

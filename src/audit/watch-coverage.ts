// Looks at the catalog while a capture runs: new partitions, broken coverage, policy and role changes that nothing announced (DESIGN §5, Coverage).
import { describeError, RowsealError } from '../model/errors.ts';
import type { AuditDatabase, CaptureConfiguration, CoverageLook } from '../ports/audit-database.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { canonical } from './actor.ts';
import type { Capture } from './capture.ts';
import { isInForce } from './captured-configuration.ts';

export interface CoverageWatch {
  /** One look: mends what is broken, and puts what is new into the WAL. */
  look(settings: AuditSettings, signal: AbortSignal): Promise<void>;
  /** What the last look found; undefined before the first. */
  readonly found: () => CoverageLook | undefined;
}

export interface CoverageWatchOptions {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly capture: Capture;
}

const passing: ReadonlySet<string> = new Set(['WaitingForLock', 'DatabaseStatement', 'DatabaseObjectMissing', 'Deadline']);

export function createCoverageWatch({ database, writer, capture }: CoverageWatchOptions): CoverageWatch {
  let found: CoverageLook | undefined;
  let written: string | undefined;
  let first = true;
  const lookOnce = async (settings: AuditSettings, signal: AbortSignal): Promise<void> => {
    found = await database.look(writer.origin, settings, signal);
    const { configuration } = found;
    // What is in the WAL already is not written again while the capture is still on its way there.
    const news = configuration === undefined || (!inForce(configuration, capture) && canonical(configuration) !== written);
    if (news) {
      const mended = configuration === undefined ? await database.install(writer.origin, settings, signal) : [];
      await database.emitConfiguration(writer.origin, settings, mended, signal);
      written = configuration === undefined ? undefined : canonical(configuration);
      if (configuration === undefined) found = await database.look(writer.origin, settings, signal);
    }
    await database.reportEnvironment(writer.origin, first ? 'Whole' : 'Changes', signal);
    first = false;
  };
  return {
    found: () => found,
    look: async (settings, signal) => {
      try {
        await lookOnce(settings, signal);
      } catch (error) {
        // A lock that is not to be had, a deadlock, or a table dropped meanwhile: capturing goes on, and the next look tries again.
        if (error instanceof RowsealError && passing.has(error.code) && (error.retryable || error.code === 'DatabaseObjectMissing')) return;
        throw error instanceof RowsealError ? error : new RowsealError('DatabaseStatement', describeError(error), { retryable: true, cause: error });
      }
    },
  };
}

function inForce(found: CaptureConfiguration, capture: Capture): boolean {
  const { configuration, policies } = capture.state();
  return isInForce(found, configuration) && found.tables.every((table) => table.policyDigest === null || table.policyDigest === policies[table.oid]);
}

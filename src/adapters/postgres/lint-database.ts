// Behind the port that lints use: the catalog over our session, witnesses over the probe connection.
import type { LintDatabase } from '../../ports/lint-database.ts';
import { catalogFingerprint } from './catalog-fingerprint.ts';
import { readCatalog } from './lint-catalog.ts';
import type { Probe } from './probe.ts';
import type { RunQuery } from './run-query.ts';
import type { Session } from './session.ts';
import { runWitnesses } from './witness.ts';

export interface LintDatabaseOptions {
  readonly session: Pick<Session, 'transaction'>;
  readonly probe: Probe;
}

export function createLintDatabase(options: LintDatabaseOptions): LintDatabase {
  const reading = <T>(read: (query: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T> =>
    options.session.transaction(async (query) => {
      await query('set transaction isolation level repeatable read read only');
      return read(query);
    }, signal);
  return {
    fingerprint: (signal) => reading(catalogFingerprint, signal),
    readCatalog: (signal) => reading(readCatalog, signal),
    runWitnesses: (witnesses, signal) => runWitnesses(witnesses, options, signal),
  };
}

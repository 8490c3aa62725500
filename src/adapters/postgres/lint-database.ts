// Behind the port that lints use: the catalog over our session, witnesses over the probe connection.
import type { LintDatabase } from '../../ports/lint-database.ts';
import { readCatalog } from './lint-catalog.ts';
import type { Probe } from './probe.ts';
import type { Session } from './session.ts';
import { runWitnesses } from './witness.ts';

export interface LintDatabaseOptions {
  readonly session: Pick<Session, 'transaction'>;
  readonly probe: Probe;
}

export function createLintDatabase(options: LintDatabaseOptions): LintDatabase {
  return {
    readCatalog: (signal) =>
      options.session.transaction(async (query) => {
        await query('set transaction isolation level repeatable read read only');
        return readCatalog(query);
      }, signal),
    runWitnesses: (witnesses, signal) => runWitnesses(witnesses, options, signal),
  };
}

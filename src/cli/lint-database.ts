// Lints one database: reads its catalog in a read-only snapshot and, unless told otherwise, acts the witnesses out on a probe connection.
import { connectionTarget } from '../adapters/postgres/connection-target.ts';
import { describeTarget, statementError } from '../adapters/postgres/database-error.ts';
import { createLintDatabase } from '../adapters/postgres/lint-database.ts';
import { createProbe } from '../adapters/postgres/probe.ts';
import { openShortSession } from '../adapters/postgres/short-session.ts';
import type { Finding, WitnessedFinding } from '../lint/lint.ts';
import type { Selection } from '../lint/select-findings.ts';
import { runLints } from '../lint/run-lints.ts';
import { witnessed } from '../lint/witnessed.ts';
import { RowsealError } from '../model/errors.ts';
import type { Catalog } from '../policy/catalog.ts';
import type { ConnectionTarget } from '../ports/database.ts';
import type { LintDatabase } from '../ports/lint-database.ts';
import { systemRandomness } from './system.ts';

export interface LintedDatabase {
  /** `shop at db.example.com:5432`. */
  readonly database: string;
  readonly serverVersion: string;
  readonly findings: readonly WitnessedFinding[];
  /** Found, and accepted by a RowPolicy. */
  readonly allowed: readonly { readonly lint: string; readonly object: string; readonly reason: string }[];
}

export interface LintOptions {
  /** What to keep and what is allowed, before witnesses are acted out. */
  readonly select: (findings: readonly Finding[], catalog: Catalog) => Pick<Selection<Finding>, 'findings' | 'allowed'>;
  readonly witnesses: boolean;
}

export async function lintDatabase(target: ConnectionTarget, { select, witnesses }: LintOptions, signal: AbortSignal): Promise<LintedDatabase> {
  try {
    return await withLintDatabase(target, signal, async (database) => {
      const catalog = await database.readCatalog(signal);
      const { findings, allowed } = select(runLints(catalog), catalog);
      return {
        database: `${target.database} at ${target.host}:${target.port}`,
        serverVersion: catalog.server.version,
        findings: witnesses ? await witnessed(findings, (all) => database.runWitnesses(all, signal)) : findings,
        allowed: allowed.map(({ finding: { lint, object }, reason }) => ({ lint, object, reason })),
      };
    });
  } catch (error) {
    signal.throwIfAborted();
    throw statementError(error, 'linting', describeTarget(target));
  }
}

async function withLintDatabase<T>(target: ConnectionTarget, signal: AbortSignal, action: (database: LintDatabase) => Promise<T>): Promise<T> {
  const session = await openShortSession(target, 'lint', signal);
  try {
    const [facts] = await session.transaction((query) => query<{ versionNumber: number }>(`select current_setting('server_version_num')::int as "versionNumber"`), signal);
    const probe = createProbe({ session, facts: { user: target.user, database: target.database, versionNumber: facts?.versionNumber ?? 0 }, randomness: systemRandomness, temporary: true });
    try {
      return await action(createLintDatabase({ session, probe }));
    } finally {
      // What cannot be taken away now has no rights of its own and a password that expires; the next run drops it.
      await probe.close(AbortSignal.timeout(5_000)).catch(() => undefined);
    }
  } finally {
    await session.close();
  }
}

/** Throws BadUsage for what is no URL of a database. */
export function targetOfUrl(url: string): ConnectionTarget {
  try {
    return connectionTarget({
      spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'url' } } },
      secret: { data: { uri: url }, annotations: {}, resourceVersion: '' },
      secretName: 'the URL',
    });
  } catch (error) {
    if (!(error instanceof RowsealError)) throw error;
    throw new RowsealError('BadUsage', error.message.replace('the key uri of the Secret', 'the URL'), error.next === undefined ? {} : { next: error.next });
  }
}

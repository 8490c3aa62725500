// Lints one database over a read-only snapshot of its catalog.
import { readCatalog } from '../adapters/postgres/lint-catalog.ts';
import { readOnly } from '../adapters/postgres/read-only-session.ts';
import type { Finding } from '../lint/lint.ts';
import { runLints } from '../lint/run-lints.ts';
import type { ConnectionTarget } from '../ports/database.ts';

export interface LintedDatabase {
  /** `shop at db.example.com:5432`. */
  readonly database: string;
  readonly serverVersion: string;
  readonly findings: readonly Finding[];
}

export async function lintDatabase(target: ConnectionTarget, signal: AbortSignal): Promise<LintedDatabase> {
  const catalog = await readOnly(target, { purpose: 'lint', doing: 'reading the catalog' }, readCatalog, signal);
  return { database: `${target.database} at ${target.host}:${target.port}`, serverVersion: catalog.server.version, findings: runLints(catalog) };
}

// A captured database for tests: a session, the audit half, and a pipeline into a log that a test looks at.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createAuditDatabase } from '../../src/adapters/postgres/audit-database.ts';
import { readFacts } from '../../src/adapters/postgres/facts.ts';
import { openSession } from '../../src/adapters/postgres/session.ts';
import { startPipeline } from '../../src/audit/pipeline.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import type { AuditDatabase } from '../../src/ports/audit-database.ts';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import type { AuditSettings } from '../../src/ports/audit-settings.ts';
import type { ConnectionTarget } from '../../src/ports/database.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { LogWriter } from '../../src/ports/log-writer.ts';

const deadlineMs = 20_000;
const allOperations = ['Insert', 'Update', 'Delete', 'Truncate'] as const;

export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => silentLogger };

function ignore(): void {
  // Tests look at what is sealed, not at what is said.
}

export function auditSettings(tables: readonly string[], replicaIdentity: 'Full' | 'Keep' = 'Full', schemaChanges: 'Record' | 'Ignore' = 'Ignore'): AuditSettings {
  return { schemaChanges, tables: tables.map((table) => ({ schema: 'public', table, operations: allOperations })), replicaIdentity };
}

export interface AuditedDatabase {
  readonly audit: AuditDatabase;
  readonly target: ConnectionTarget;
  start(writer: LogWriter, settings: AuditSettings, options?: { maxBatchBytes?: number }): Promise<RunningAudit>;
  close(): Promise<void>;
}

export async function openAuditedDatabase(place: { port: number; password: string; database: string; user?: string; claims?: ClaimsConfiguration }): Promise<AuditedDatabase> {
  const target: ConnectionTarget = {
    host: '127.0.0.1',
    port: place.port,
    database: place.database,
    user: place.user ?? 'postgres',
    password: place.password,
    tls: { mode: 'disable' },
    claims: place.claims ?? { type: 'Setting', setting: 'request.jwt.claims' },
  };
  const { signal } = new AbortController();
  const session = await openSession(target, signal);
  const facts = await session.exclusively((query) => readFacts(query, target), signal);
  const audit = createAuditDatabase({ session, facts, target, randomness: systemRandomness, logger: silentLogger });
  const parts = { database: audit, clock: systemClock, randomness: systemRandomness, logger: silentLogger };
  return {
    audit,
    target,
    start: (writer, settings, options = {}) => startPipeline({ ...parts, writer, settings, ...options }, signal),
    close: () => session.close(),
  };
}

export async function connected(uri: string): Promise<pg.Client> {
  const client = new pg.Client(uri);
  client.on('error', ignore);
  await client.connect();
  return client;
}

/** Waits until the condition gives something, and fails saying what was waited for. */
export async function until<T>(what: string, condition: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}

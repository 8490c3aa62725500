// The log equals the oracle, change for change and actor for actor, in the order of the commits, whatever random sessions do.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFilesystemReader } from '../../src/adapters/filesystem/reader.ts';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import type { LogWriter } from '../../src/ports/log-writer.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase } from '../parts/audited-database.ts';
import { writerOptions } from '../parts/log-workload.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { judge } from './judge.ts';
import { createLogTail } from './log-tail.ts';
import { createReferee, takeRefereed, takeSaid } from './referee.ts';
import { auditedTables, numbers, schemaSql } from './schema.ts';
import { openSession, type Session } from './session.ts';

/** `make soak` takes all versions and many more transactions; a seed repeats a run, as far as sessions do not race. */
const majors = process.env['ROWSEAL_MAJORS'] === 'all' ? supportedMajors : ([15, 18] as const);
const transactions = Number(process.env['ROWSEAL_ORACLE_TRANSACTIONS'] ?? 120);
const firstSeed = Number(process.env['ROWSEAL_SEED'] ?? Date.now() % 1_000_000);
const workers = 4;
const timeoutMs = 120_000 + transactions * 1_000;

describe.each(majors)('the oracle on PostgreSQL %s', (major) => {
  let server: Postgres;
  let admin: pg.Client;
  let folder: string;
  let database: AuditedDatabase;
  let writer: LogWriter;
  let run: RunningAudit;
  let sessions: readonly Session[];
  const { signal } = new AbortController();
  const seed = firstSeed + major;

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major), settings: ['max_prepared_transactions = 10', "deadlock_timeout = '50ms'"] });
    admin = await connected(server.uri());
    await admin.query(schemaSql(workers));
    await createReferee(admin);
    folder = mkdtempSync(join(tmpdir(), 'rowseal-oracle-'));
    writer = await openLogWriter(writerOptions(await openFilesystemStore(folder), { publishing: { maxDelayMs: 100 }, sealing: { maxDelayMs: 10, maxBytes: 256 * 1024 } }));
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    // Small batches, so that many transactions are sealed in parts.
    run = await database.start(writer, auditSettings(auditedTables(workers)), { maxBatchBytes: 20_000 });
    const uri = (user: string, password: string) => server.uri('postgres', user, password);
    sessions = await Promise.all(numbers(workers).map((worker) => openSession({ worker, seed, uri, faults: false })));
  });
  afterAll(async () => {
    await Promise.all((sessions ?? []).map((session) => session.close()));
    await run?.stop();
    await writer?.close(signal);
    await database?.close();
    await admin?.end();
    await server?.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it(`agrees with what ${workers} sessions did in ${transactions} transactions each (seed ${firstSeed})`, { timeout: timeoutMs }, async () => {
    await Promise.race([Promise.all(sessions.map((session) => session.work({ transactions }))), run.failed]);
    await admin.query(`insert into ledger values (-1, 0, 'fence')`);
    const tail = createLogTail(() => openFilesystemReader(folder));
    const isFence = ({ change }: { change?: { after?: Record<string, string | null> } }) => change?.after?.['id'] === '-1';
    const sealed = (await Promise.race([tail.readUntil('the fence', isFence, timeoutMs), run.failed])).filter((entry) => !isFence(entry));
    const [said, refereed] = [await takeSaid(admin), await takeRefereed(admin, new Set(auditedTables(workers)))];
    expect(judge(sealed, said, refereed.filter(({ id }) => id !== '-1'))).toEqual([]);
    console.log(`PostgreSQL ${major}, seed ${firstSeed}: ${said.length} transactions, ${refereed.length} changes`);
    expect(refereed.length).toBeGreaterThan(transactions);
  });
});

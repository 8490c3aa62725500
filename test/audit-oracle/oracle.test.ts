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
import { type AuditedDatabase, connected, openAuditedDatabase } from '../parts/audited-database.ts';
import { writerOptions } from '../parts/log-workload.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import type { CapturedEntry } from '../parts/memory-writer.ts';
import { replayedTable, rowText } from '../parts/replayed-table.ts';
import { judge, type SealedEntry } from './judge.ts';
import { createLogTail } from './log-tail.ts';
import { createReferee, takeRefereed, takeSaid } from './referee.ts';
import { auditedTables, numbers, schemaSql } from './schema.ts';
import type { Row } from './script.ts';
import { openSession, type Session } from './session.ts';
import { isWhole, operator, operatorSql, treatedRow, type Variant, variantSettings } from './variant.ts';

/** `make soak` takes all versions and many more transactions; a seed repeats a run, as far as sessions do not race. */
const runs: readonly (readonly [(typeof supportedMajors)[number], Variant])[] =
  process.env['ROWSEAL_MAJORS'] === 'all'
    ? supportedMajors.flatMap((major) => (['plain', 'everything', 'unprivileged'] as const).map((variant) => [major, variant] as const))
    : [[15, 'unprivileged'], [15, 'everything'], [18, 'plain'], [18, 'everything']];
const transactions = Number(process.env['ROWSEAL_ORACLE_TRANSACTIONS'] ?? 80);
const seed = Number(process.env['ROWSEAL_SEED'] ?? Date.now() % 1_000_000);
const workers = 4;
const before = 10;
const timeoutMs = 120_000 + transactions * 1_000;
const audited = auditedTables(workers);
/** Tables with a key of which a reader can make the rows again. */
const replayed = ['account', 'ledger', 'node', 'parent', 'child', 'grandchild', 'stock', 'big'];

describe.each(runs)('the oracle on PostgreSQL %s, %s', (major, variant) => {
  let server: Postgres;
  let admin: pg.Client;
  let folder: string;
  let database: AuditedDatabase;
  let writer: LogWriter;
  let run: RunningAudit;
  let sessions: readonly Session[];
  const { signal } = new AbortController();

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major), settings: ['max_prepared_transactions = 10', "deadlock_timeout = '50ms'"] });
    admin = await connected(server.uri());
    await admin.query(schemaSql(workers));
    await admin.query(operatorSql(variant));
    const uri = (user: string, password: string) => server.uri('postgres', user, password);
    sessions = await Promise.all(numbers(workers).map((worker) => openSession({ worker, seed: seed + major, uri, faults: false })));
    // What is there before the capture begins is for its baseline.
    await Promise.all(sessions.map((session) => session.work({ transactions: before })));
    await takeSaid(admin);
    await createReferee(admin);
    folder = mkdtempSync(join(tmpdir(), 'rowseal-oracle-'));
    writer = await openLogWriter(writerOptions(await openFilesystemStore(folder), { publishing: { maxDelayMs: 100 }, sealing: { maxDelayMs: 10, maxBytes: 256 * 1024 } }));
    const login = variant === 'unprivileged' ? operator : { user: 'postgres', password: server.password };
    database = await openAuditedDatabase({ port: server.port, ...login, database: 'postgres' });
    // Small batches, so that many transactions are sealed in parts.
    run = await database.start(writer, variantSettings(variant, audited), { maxBatchBytes: 20_000 });
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

  it(`agrees with what ${workers} sessions did in ${transactions} transactions each (seed ${seed})`, { timeout: timeoutMs }, async () => {
    await Promise.race([Promise.all(sessions.map((session) => session.work({ transactions }))), run.failed]);
    await admin.query(`insert into ledger values (-1, 0, 'fence')`);
    const tail = createLogTail(() => openFilesystemReader(folder));
    const isFence = ({ type, change }: SealedEntry) => type === 'row.insert' && change?.after?.['id'] === '-1';
    const sealed = await Promise.race([tail.readUntil('the fence', isFence, timeoutMs), run.failed]);
    const [said, refereed] = [await takeSaid(admin), await takeRefereed(admin, new Set(audited))];
    const treat = (table: string, row: Row) => treatedRow(variant, table, row);
    const problems = judge(sealed.filter((entry) => !isFence(entry)), { said, refereed: refereed.filter(({ id }) => id !== '-1'), treat, coveredLater: variant === 'unprivileged' });
    console.log(`PostgreSQL ${major}, ${variant}, seed ${seed}: ${said.length} transactions, ${refereed.length} changes`);
    expect(problems).toEqual([]);
    expect(refereed.length).toBeGreaterThan(transactions);
    if (variant !== 'everything') return;
    const whole = sealed as unknown as readonly CapturedEntry[];
    for (const table of replayed.filter((name) => isWhole(variant, name))) expect(replayedTable(whole, table), table).toEqual(await rowsOf(admin, table));
  });
});

async function rowsOf(admin: pg.Client, table: string): Promise<readonly string[]> {
  const { rows } = await admin.query<Record<string, string | null>>({ text: `select * from ${table}`, types: { getTypeParser: () => (value: string) => value } });
  return rows.map((row) => rowText({ ...row })).sort();
}

// What a workload led to: statements run, and the entries up to a fence row behind them.
import type pg from 'pg';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import type { AuditSettings } from '../../src/ports/audit-settings.ts';
import { type AuditedDatabase, connected, openAuditedDatabase, until } from './audited-database.ts';
import { type CapturedEntry, createMemoryWriter, type MemoryWriter } from './memory-writer.ts';
import { installationOf, type Postgres, startPostgres, type supportedMajors } from './postgres.ts';

export interface CapturedDatabase {
  readonly server: Postgres;
  readonly admin: pg.Client;
  readonly writer: MemoryWriter;
  readonly database: AuditedDatabase;
  readonly run: RunningAudit;
  /** Runs statements one by one, and gives the entries that they led to in order; the fence is left out. */
  entriesOf(...statements: readonly string[]): Promise<readonly CapturedEntry[]>;
  /** The same of what an action does. */
  entriesAfter(action: () => Promise<unknown>): Promise<readonly CapturedEntry[]>;
  close(): Promise<void>;
}

export interface CapturedOptions {
  readonly major?: (typeof supportedMajors)[number];
  readonly schema: string;
  readonly settings: AuditSettings;
  readonly serverSettings?: readonly string[];
  /** Of the audited database, which is made with these words after `create database captured`. */
  readonly createDatabase?: string;
}

/** A server with a captured database; the table `fence` must be among the audited ones. */
export async function startCaptured(options: CapturedOptions): Promise<CapturedDatabase> {
  const server = await startPostgres({ ...(options.major === undefined ? {} : { installation: installationOf(options.major) }), settings: options.serverSettings ?? [] });
  const maker = await connected(server.uri());
  await maker.query(`create database captured ${options.createDatabase ?? ''}`);
  await maker.end();
  const admin = await connected(server.uri('captured'));
  await admin.query(`create table public.fence (id int)`);
  await admin.query(options.schema);
  const writer = createMemoryWriter();
  const database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'captured' });
  const run = await database.start(writer, options.settings);
  await until('audit.start', () => writer.entries().some((entry) => entry.type === 'audit.start'));
  let fences = 0;
  const entriesAfter = async (action: () => Promise<unknown>): Promise<readonly CapturedEntry[]> => {
    const before = writer.entries().length;
    await action();
    const fence = ++fences;
    await admin.query(`insert into public.fence values (${fence})`);
    const isFence = (entry: CapturedEntry) => (entry['object'] as { table?: string } | undefined)?.table === 'fence' && entry.type !== 'relation';
    const found = () => writer.entries().slice(before).find((entry) => isFence(entry) && JSON.stringify(entry['change']).includes(`"${fence}"`));
    await Promise.race([run.failed, until('the fence row', found)]);
    return writer.entries().slice(before).filter((entry) => (entry['object'] as { table?: string } | undefined)?.table !== 'fence');
  };
  return {
    server,
    admin,
    writer,
    database,
    run,
    entriesAfter,
    entriesOf: (...statements) =>
      entriesAfter(async () => {
        for (const statement of statements) await admin.query(statement);
      }),
    close: async () => {
      await run.stop();
      await database.close();
      await admin.end();
      await server.stop();
    },
  };
}

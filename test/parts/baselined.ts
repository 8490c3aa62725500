// A captured database whose baselines a test looks at: started with Snapshot, waited for, compared with what an independent reader replays.
import type pg from 'pg';
import { expect } from 'vitest';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import type { AuditSettings } from '../../src/ports/audit-settings.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from './audited-database.ts';
import { type CapturedEntry, createMemoryWriter, type MemoryWriter } from './memory-writer.ts';
import { installationOf, type Postgres, startPostgres } from './postgres.ts';
import { replayedTable, rowText } from './replayed-table.ts';

export interface Baselined {
  readonly server: Postgres;
  readonly admin: pg.Client;
  readonly database: AuditedDatabase;
  readonly writer: () => MemoryWriter;
  readonly run: () => RunningAudit;
  /** A log of its own. */
  fresh(): Promise<void>;
  start(settings: AuditSettings): Promise<void>;
  stop(): Promise<void>;
  /** Whole baselines of so many tables, and no gap left. */
  complete(tables: number): Promise<void>;
  /** Everything that was committed is sealed. */
  settled(table: string): Promise<void>;
  /** The log's rows are the table's. */
  same(table: string): Promise<void>;
  ofType(type: string): readonly CapturedEntry[];
  close(): Promise<void>;
}

/** With baselines of all tables. */
export function withBaseline(tables: readonly string[], replicaIdentity: 'Full' | 'Keep' = 'Full'): AuditSettings {
  const settings = auditSettings(tables, replicaIdentity);
  return { ...settings, tables: settings.tables.map((table) => ({ ...table, baseline: true })) };
}

export async function openBaselined(major: Parameters<typeof installationOf>[0]): Promise<Baselined> {
  const { signal } = new AbortController();
  const server = await startPostgres({ installation: installationOf(major), settings: ['max_replication_slots = 20'] });
  const admin = await connected(server.uri());
  const database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  let writer = createMemoryWriter('test.example/baseline');
  let run: RunningAudit | undefined;
  let count = 0;
  const running = (): RunningAudit => {
    if (run === undefined) throw new Error('nothing was started');
    return run;
  };
  const stop = async (): Promise<void> => {
    await run?.stop();
    run = undefined;
    // The server notices in its own time that the walsender has gone.
    await until('the slot is free', async () => (await database.audit.slot(writer.origin, signal))?.activePid === undefined);
  };
  return {
    server,
    admin,
    database,
    writer: () => writer,
    run: running,
    stop,
    fresh: async () => {
      await stop();
      await database.audit.remove(writer.origin, signal);
      writer = createMemoryWriter(`test.example/baseline${count++}`);
    },
    start: async (settings) => void (run = await database.start(writer, settings)),
    complete: async (tables) => {
      await until('the baselines are whole', async () => {
        const { baseline } = await running().status(signal);
        return baseline?.tables === tables && baseline.complete === tables;
      });
    },
    settled: async (table) => {
      const said = (type: string): number => writer.entries().filter((entry) => entry.type === type && JSON.stringify(entry['object']).includes(`"id":"-1"`)).length;
      const before = said('row.delete');
      await admin.query(`insert into ${table} (id) values (-1)`);
      await admin.query(`delete from ${table} where id = -1`);
      await until('the last change is sealed', () => said('row.delete') > before);
    },
    same: async (table) => {
      const { rows } = await admin.query<{ row: string }>(`select row_to_json(t)::text as row from (select * from ${table}) t`);
      const wanted = rows.map(({ row }) => rowText(textValues(JSON.parse(row) as Record<string, unknown>))).sort();
      expect(replayedTable(writer.entries(), table)).toEqual(wanted);
    },
    ofType: (type) => writer.entries().filter((entry) => entry.type === type),
    close: async () => {
      await run?.stop();
      await database.close();
      await admin.end();
      await server.stop();
    },
  };
}

/** Numbers and truth values as PostgreSQL's text; tests use types whose JSON is that text. */
function textValues(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null || typeof value === 'string' ? value : JSON.stringify(value)]));
}

// What a baseline and the changes after it say is what the table holds, whoever writes meanwhile and whatever is killed.
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import type { AuditSettings } from '../../src/ports/audit-settings.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter, type MemoryWriter } from '../parts/memory-writer.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { replayedTable, rowText } from '../parts/replayed-table.ts';

/** With baselines of all tables. */
function withBaseline(settings: AuditSettings): AuditSettings {
  return { ...settings, tables: settings.tables.map((table) => ({ ...table, baseline: true })) };
}

describe.each(supportedMajors)('baselines on PostgreSQL %s', (major) => {
  let server: Postgres;
  let admin: pg.Client;
  let database: AuditedDatabase;
  let run: RunningAudit | undefined;
  let writer: MemoryWriter;
  let count = 0;
  const { signal } = new AbortController();

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major), settings: ['max_replication_slots = 20'] });
    admin = await connected(server.uri());
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  });
  afterAll(async () => {
    await database?.close();
    await admin?.end();
    await server?.stop();
  });
  beforeEach(() => {
    writer = createMemoryWriter(`test.example/baseline${count++}`);
  });
  afterEach(async () => {
    await run?.stop();
    run = undefined;
    await database.audit.remove(writer.origin, signal);
  });

  const ofType = (type: string): readonly CapturedEntry[] => writer.entries().filter((entry) => entry.type === type);
  const complete = (tables: number) =>
    until('the baselines are whole', async () => {
      const { baseline } = (await run?.status(signal)) ?? {};
      return baseline?.tables === tables && baseline.complete === tables;
    });
  const rowsOf = async (table: string): Promise<readonly string[]> => {
    const { rows } = await admin.query<{ row: string }>({ text: `select row_to_json(t)::text as row from (select * from ${table}) t` });
    return rows.map(({ row }) => rowText(textValues(JSON.parse(row) as Record<string, unknown>))).sort();
  };
  const sealedSoFar = async (table: string): Promise<void> => {
    await admin.query(`insert into ${table} values (-1, 'end')`);
    await until('the last change is sealed', () => writer.entries().some((entry) => entry.type === 'row.insert' && JSON.stringify(entry['object']).includes('"id":"-1"')));
    await admin.query(`delete from ${table} where id = -1`);
    await until('its deletion is sealed', () => writer.entries().some((entry) => entry.type === 'row.delete' && JSON.stringify(entry['object']).includes('"id":"-1"')));
  };

  it('is row for row the slot’s start, before the first change of the WAL', async () => {
    await admin.query(`create table a (id int primary key, v text); insert into a select n, 'v' || n from generate_series(1, 500) n; create table empty (id int primary key)`);
    run = await database.start(writer, withBaseline(auditSettings(['a', 'empty'])));
    await admin.query(`update a set v = 'changed' where id <= 10; delete from a where id > 490; update a set id = id + 1000 where id between 20 and 30`);
    await complete(2);
    await sealedSoFar('a');
    const types = writer.entries().map((entry) => entry.type);
    expect(types.lastIndexOf('baseline')).toBeLessThan(types.findIndex((type) => type.startsWith('row.')));
    expect(ofType('baseline')).toHaveLength(501);
    expect(ofType('baseline').filter((entry) => (entry['baseline'] as { last?: true }).last === true).map((entry) => (entry['baseline'] as { rows: number }).rows).sort((a, b) => a - b)).toEqual([0, 500]);
    expect(ofType('baseline').every((entry) => entry['actor'] === undefined)).toBe(true);
    expect(replayedTable(writer.entries(), 'a')).toEqual(await rowsOf('a'));
    // The slot's own start, since its snapshot was exported with it.
    const starts = new Set(ofType('baseline').map((entry) => (entry['source'] as { lsn: string }).lsn));
    expect(starts.size).toBe(1);
    // Both sources describe the table alike.
    expect(new Set(ofType('relation').map((entry) => JSON.stringify(entry['relation']))).size).toBe(new Set(ofType('relation').map((entry) => JSON.stringify((entry['relation'] as { table: string }).table))).size);
    await admin.query('drop table a, empty');
  });

  it('equals the table at a later instant while many write', async () => {
    await admin.query(`create table busy (id int primary key, v text); insert into busy select n, repeat('x', n % 200) from generate_series(1, 5000) n`);
    const ending = new AbortController();
    const writers = await Promise.all(Array.from({ length: 4 }, (_one, at) => keepWriting(server, at, ending.signal)));
    run = await database.start(writer, withBaseline(auditSettings(['busy'])));
    await complete(1);
    ending.abort();
    await Promise.all(writers.map(({ done }) => done));
    await sealedSoFar('busy');
    expect(replayedTable(writer.entries(), 'busy')).toEqual(await rowsOf('busy'));
    await admin.query('drop table busy');
  });
});

/** Everything that row_to_json gives, as PostgreSQL's text. */
function textValues(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : typeof value === 'string' ? value : JSON.stringify(value)]));
}

async function keepWriting(server: Postgres, at: number, signal: AbortSignal): Promise<{ readonly done: Promise<void> }> {
  const client = await connected(server.uri());
  const write = async (): Promise<void> => {
    for (let turn = 0; !signal.aborted; turn++) {
      const id = 1 + ((at * 1000 + turn * 7) % 5000);
      await client.query('insert into busy values ($1, $2) on conflict (id) do update set v = excluded.v', [id, `w${at}.${turn}`]);
      await client.query('delete from busy where id = $1', [((id * 3) % 5000) + 1]);
      if (turn % 5 === 0) await client.query('update busy set id = id + 100000 * $2 where id = $1', [((id * 11) % 5000) + 1, at + 1]).catch(() => undefined);
    }
    await client.end();
  };
  return { done: write() };
}

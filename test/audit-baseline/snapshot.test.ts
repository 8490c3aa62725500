// A snapshot shows what was committed before it and nothing else, or says that it cannot.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSnapshots } from '../../src/adapters/postgres/snapshots.ts';
import { systemRandomness } from '../../src/cli/system.ts';
import { RowsealError } from '../../src/model/errors.ts';
import type { Snapshot, SnapshotRow } from '../../src/ports/snapshot.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, silentLogger, until } from '../parts/audited-database.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';

const origin = 'test.example/snapshot';

describe.each([15, 18] as const)('snapshots of PostgreSQL %s', (major) => {
  let server: Postgres;
  let admin: pg.Client;
  let database: AuditedDatabase;
  const { signal } = new AbortController();

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major) });
    admin = await connected(server.uri());
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  });
  afterAll(async () => {
    await database?.close();
    await admin?.end();
    await server?.stop();
  });

  const opened = (): Promise<Snapshot> => database.audit.openSnapshot(origin, { atSlotStart: false }, signal);
  const tablesOf = async (snapshot: Snapshot, ...names: string[]) => snapshot.tables(auditSettings(names), signal);
  const rowsOf = async (snapshot: Snapshot, table: string): Promise<readonly SnapshotRow[]> => {
    const [found] = await tablesOf(snapshot, table);
    if (found === undefined) throw new Error(`no table ${table}`);
    const rows: SnapshotRow[] = [];
    for await (const chunk of snapshot.rows(found, signal)) rows.push(...chunk);
    return rows;
  };
  const codeOf = async (promise: Promise<unknown>): Promise<unknown> => promise.then(() => undefined, (error: unknown) => (error instanceof RowsealError ? error.code : error));

  it('does not change while others commit, and leaves neither slot nor lock behind', async () => {
    await admin.query(`create table s (id int primary key, v text); insert into s values (1, 'a'); create table s2 (id int)`);
    const snapshot = await opened();
    await admin.query(`update s set v = 'b'; insert into s values (2, 'c')`);
    expect(await rowsOf(snapshot, 's')).toEqual([{ row: '{"id":"1","v":"a"}', key: '{"id":"1"}' }]);
    expect((await admin.query('select from pg_replication_slots')).rows).toEqual([]);
    // The table is free again although the snapshot is still open.
    await admin.query(`set lock_timeout = '2s'; alter table s add column w int; reset lock_timeout`);
    expect(await codeOf(rowsOf(snapshot, 's'))).toBeUndefined();
    expect(await rowsOf(snapshot, 's2')).toEqual([]);
    await snapshot.close();
    await until('its session has ended', async () => (await admin.query(`select from pg_stat_activity where application_name like '%baseline%'`)).rows.length === 0);
    await admin.query('drop table s, s2');
  });

  it.each([
    ['truncated', 'truncate s'],
    ['rewritten', 'alter table s alter column id type bigint'],
    ['dropped', 'drop table s'],
    ['replaced by another of its name', 'alter table s rename to gone; create table s (id int primary key, v text)'],
    ['deprived of a column', 'alter table s drop column v'],
  ])('says that a table was %s since, and goes on with the others', async (_what, harm) => {
    await admin.query(`create table s (id int primary key, v text); insert into s values (1, 'a'); create table s2 (id int primary key); insert into s2 values (7)`);
    const snapshot = await opened();
    const [table] = await tablesOf(snapshot, 's');
    await admin.query(harm);
    const read = async (): Promise<void> => {
      if (table !== undefined) for await (const rows of snapshot.rows(table, signal)) expect(rows).toBeDefined();
    };
    expect(await codeOf(read())).toBe('SnapshotOutdated');
    expect(await rowsOf(snapshot, 's2')).toHaveLength(1);
    await snapshot.close();
    await admin.query('drop table if exists s, s2, gone');
  });

  it('holds every byte of a text, and NULL apart from everything', async () => {
    const texts = ['', '\\N', '\\.', 'a\tb\nc\rd\\e', '\b\f\v', '"quoted" {json}', '\u0001\u001f\u007f', 'ünïcödé 🦭', String.raw`\x41\101`, ' lead and trail ', 'x'.repeat(300_000)];
    await admin.query('create table s (id int primary key, v text, "z ""q" int, "10" text, "9" text)');
    for (const [id, text] of texts.entries()) await admin.query('insert into s values ($1, $2, null, $3, $4)', [id, text, 'ten', 'nine']);
    await admin.query('insert into s values (99, null, 5, null, null)');
    const snapshot = await opened();
    const rows = await rowsOf(snapshot, 's');
    expect(rows.slice(0, -1).map(({ row }) => (JSON.parse(row) as { v: string }).v)).toEqual(texts);
    expect(rows.at(-1)?.row).toBe(String.raw`{"10":null,"9":null,"id":"99","v":null,"z \"q":"5"}`);
    await snapshot.close();
    await admin.query('drop table s');
  });

  it('does not hide rows: a role that row-level security would hide them from is refused', async () => {
    await admin.query(`create role reader login replication password '${server.password}'; create table s (id int primary key); insert into s values (1); alter table s enable row level security, owner to reader; alter table s force row level security; create policy p on s using (false)`);
    await admin.query('grant create on schema public to reader');
    const limited = createSnapshots({ target: { ...database.target, user: 'reader' }, versionNumber: major * 10_000, randomness: systemRandomness, logger: silentLogger });
    const snapshot = await limited.open('limited', false, signal);
    expect(await codeOf(rowsOf(snapshot, 's'))).toBe('DatabasePrivilege');
    await snapshot.close();
    await admin.query('alter role reader bypassrls');
    const whole = await limited.open('limited', false, signal);
    expect(await rowsOf(whole, 's')).toHaveLength(1);
    await whole.close();
    await admin.query('drop table s; drop owned by reader; drop role reader');
  });

  it('keeps a slow reader’s memory bounded, and can be left in the middle', async () => {
    await admin.query(`create table s (id int primary key, v text); insert into s select n, repeat('x', 5000) from generate_series(1, 4000) n`);
    const snapshot = await opened();
    const [table] = await tablesOf(snapshot, 's');
    if (table === undefined) throw new Error('no table');
    let most = 0;
    let total = 0;
    for await (const chunk of snapshot.rows(table, signal)) {
      most = Math.max(most, chunk.reduce((sum, { row }) => sum + row.length, 0));
      total += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(total).toBe(4000);
    // 20 MB in all: what is queued is about a megabyte, and what was on the way when the socket was told to rest.
    expect(most).toBeLessThan(4 * 1024 * 1024);
    for await (const chunk of snapshot.rows(table, signal)) if (chunk.length > 0) break;
    await snapshot.close();
    await admin.query('drop table s');
  });
});

// What the server lost is a sealed gap, never silence; and every kind of value, policy change and setting arrives as it was.
import type pg from 'pg';
import { noEntries } from '../../src/log/bundle.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installPolicySchema } from '../../src/adapters/postgres/install-policy.ts';
import { openSession } from '../../src/adapters/postgres/session.ts';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter, type MemoryWriter } from '../parts/memory-writer.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';

describe.each(supportedMajors)('resuming on PostgreSQL %s', (major) => {
  let server: Postgres;
  let admin: pg.Client;
  let database: AuditedDatabase;
  let run: RunningAudit | undefined;
  let writer: MemoryWriter;
  let count = 0;
  const { signal } = new AbortController();

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major) });
    admin = await connected(server.uri());
    await admin.query(`create table t (id int primary key, v text); create table plain (v text);
      create type mood as enum ('happy'); create table v (id int primary key, a int[], j jsonb, n numeric, b bytea, f float8, m mood, ts timestamptz, big text)`);
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  });
  afterAll(async () => {
    await run?.stop();
    await database?.close();
    await admin?.end();
    await server?.stop();
  });
  beforeEach(async () => {
    await run?.stop();
    writer = createMemoryWriter(`test.example/log${count++}`);
  });

  const rows = (): readonly CapturedEntry[] => writer.entries().filter((entry) => entry.type.startsWith('row.'));
  const started = async (tables = ['t']): Promise<void> => {
    run = await database.start(writer, auditSettings(tables));
    await until('the configuration is sealed', () => writer.entries().some((entry) => entry.type === 'audit.start'));
  };
  const sealedMarker = () => until('a marker is sealed', () => writer.batches.at(-1)?.state.marker);
  const insert = async (id: number): Promise<void> => {
    await admin.query('insert into t values ($1)', [id]);
    await until(`row ${id}`, () => rows().some((entry) => JSON.stringify(entry['change']).includes(`"id":"${id}"`)));
  };

  it('goes on after the last sealed change when nothing was lost', async () => {
    await started();
    await insert(1);
    await sealedMarker();
    await run?.stop();
    await admin.query('insert into t values (2)');
    run = await database.start(writer, auditSettings(['t']));
    await insert(3);
    expect(rows().map((entry) => (entry['change'] as { after: { id: string } }).after.id)).toEqual(['1', '2', '3']);
    expect(writer.entries().some((entry) => entry.type === 'gap')).toBe(false);
  });

  it.each([
    ['a slot that was dropped', 'SlotMissing', async (name: string) => admin.query('select pg_drop_replication_slot($1)', [name])],
    ['a slot made anew behind our back', 'ConfirmedBeyondSealed', async (name: string) => {
      await admin.query('select pg_drop_replication_slot($1)', [name]);
      await admin.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
    }],
    ['a slot that was advanced', 'ConfirmedBeyondSealed', async (name: string) => admin.query('select pg_replication_slot_advance($1, pg_current_wal_lsn())', [name])],
  ])('seals a gap for %s', async (_what, reason, harm) => {
    await started();
    await insert(10 + count * 10);
    await sealedMarker();
    await run?.stop();
    await admin.query('insert into t values ($1)', [11 + count * 10]);
    await until('the server noticed that nobody streams', async () => (await database.audit.slot(writer.origin, signal))?.activePid === undefined);
    await harm(database.audit.captureName(writer.origin));
    run = await database.start(writer, auditSettings(['t']));
    await insert(12 + count * 10);
    const gaps = writer.entries().filter((entry) => entry.type === 'gap');
    expect(gaps.map((entry) => (entry['gap'] as { reason: string }).reason)).toEqual([reason]);
    expect(rows().map((entry) => (entry['source'] as { incarnation: number }).incarnation)).toEqual([1, 2]);
    expect((await run.status(signal)).gaps).toBe(1);
  });

  it('seals a gap when the first transaction is not the sealed marker', async () => {
    await started();
    await insert(500 + count);
    const marker = await sealedMarker();
    await run?.stop();
    const last = writer.batches.at(-1);
    if (last === undefined) throw new Error('nothing was sealed');
    await writer.append({ entries: noEntries, state: { ...last.state, marker: { ...marker, nonce: 'of another history' } } }, signal);
    run = await database.start(writer, auditSettings(['t']));
    const gap = await until('the gap', () => writer.entries().find((entry) => entry.type === 'gap.rewound'));
    expect(gap['gap']).toMatchObject({ reason: 'MarkerNotFound', missed: false, lacking: { changes: 0 } });
  });

  it('survives a crash of the server without loss', async () => {
    await started();
    await insert(700 + count);
    await sealedMarker();
    await run?.stop();
    await admin.query('insert into t values ($1)', [800 + count]);
    await database.close();
    await server.crashAndRestart();
    admin = await connected(server.uri());
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    run = await database.start(writer, auditSettings(['t']));
    await insert(900 + count);
    expect(rows().length).toBe(3);
    expect(writer.entries().some((entry) => entry.type === 'gap')).toBe(false);
  });

  it('keeps values verbatim, large ones unchanged and new, and tables without a key', async () => {
    await started(['v', 'plain']);
    const big = Array.from({ length: 9000 }, (_, index) => String.fromCharCode(33 + ((index * 7919) % 90))).join('');
    await admin.query(`alter table v alter column big set storage external`);
    await admin.query(`insert into v values (1, '{1,NULL}', '{"b": 1.50}', 12345678901234567890.10, '\\xdeadbeef', 0.1, 'happy', '2026-01-02 03:04:05.678901+00', $1)`, [big]);
    await admin.query('update v set n = n + 1');
    await admin.query('update v set big = $1', [big.repeat(10)]);
    await admin.query(`insert into plain values ('a'), (null)`);
    await admin.query(`delete from plain`);
    await until('all rows', () => rows().length === 7);
    const [created, updated, grown] = rows().map((entry) => entry['change'] as { after: unknown });
    expect(created?.after).toMatchObject({ a: '{1,NULL}', j: '{"b": 1.50}', n: '12345678901234567890.10', b: '\\xdeadbeef', f: '0.1', m: 'happy', big });
    expect(updated?.after).toMatchObject({ n: '12345678901234567891.10', big });
    expect(grown).toMatchObject({ bytes: expect.any(Number), blob: expect.stringMatching(/^sha256:/) });
    expect(writer.batches.flatMap((batch) => batch.blobs ?? []).length).toBe(1);
    expect(rows().slice(5).map((entry) => (entry['change'] as { before: unknown }).before)).toEqual([{ v: 'a' }, { v: null }]);
  });

  it('names the policy set in force, and seals drift with who did it', async () => {
    const session = await sessionless(database, async () => installPolicies(database));
    database = session;
    await started();
    await insert(2000);
    await admin.query('create policy p on t using (true)');
    await insert(2001);
    await admin.query('drop policy p on t');
    await insert(2002);
    const digests = rows().map((entry) => (entry['policy'] as { digest: string }).digest);
    expect(digests[0]).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(digests[1]).not.toBe(digests[0]);
    expect(digests[2]).toBe(digests[0]);
    const drift = writer.entries().filter((entry) => entry.type === 'policy.drift');
    expect(drift.map((entry) => (entry['policy'] as { digest: string; evidence: string }).digest)).toEqual([digests[1], digests[0]]);
    expect(drift[0]).toMatchObject({ actor: { user: 'postgres' }, policy: { evidence: 'wal' } });
  });

  it('follows new settings from a point in the WAL on', async () => {
    await started();
    await admin.query(`insert into plain values ('before')`);
    await run?.configure(auditSettings(['t', 'plain']), signal);
    await admin.query(`insert into plain values ('after')`);
    await until('the new table', () => rows().some((entry) => JSON.stringify(entry).includes('"after":{"v":"after"}')));
    expect(rows().filter((entry) => JSON.stringify(entry).includes('"before"'))).toEqual([]);
    expect(writer.entries().filter((entry) => entry.type === 'audit.config').length).toBe(1);
  });

  it('removes everything it installed for a log', async () => {
    await started();
    await run?.stop();
    for (let log = 0; log < count; log++) await database.audit.remove(`test.example/log${log}`, signal);
    const { rows: left } = await admin.query(`select slot_name::text as name from pg_replication_slots union all select pubname::text from pg_publication
      union all select tgname::text from pg_trigger where tgname like 'rowseal%'`);
    expect(left).toEqual([]);
  });

  /** The policy half installs on a session of its own, while ours is closed: only one may apply. */
  async function sessionless(current: AuditedDatabase, action: () => Promise<void>): Promise<AuditedDatabase> {
    await current.close();
    await action();
    return openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  }

  async function installPolicies(current: AuditedDatabase): Promise<void> {
    const session = await openSession(current.target, signal);
    await installPolicySchema(session, signal);
    await session.close();
  }
});

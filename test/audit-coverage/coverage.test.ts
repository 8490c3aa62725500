// What is not captured is known within seconds, mended where that is ours to do, and never lost without a sealed gap.
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter, type MemoryWriter } from '../parts/memory-writer.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';

interface Gap {
  readonly id: string;
  readonly problem: string;
  readonly scope: string;
  readonly from: string;
  readonly to: string;
}

describe.each(supportedMajors)('coverage on PostgreSQL %s', (major) => {
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
    if (writer !== undefined) await database.audit.remove(writer.origin, signal);
    writer = createMemoryWriter(`test.example/log${count++}`);
    await admin.query(`drop view if exists later; drop table if exists t, u, p, t_old cascade; create table t (id int primary key, v text); create table u (id int primary key);
      create table p (id int, region text) partition by list (region); create table p_eu partition of p for values in ('eu'); create table p_us partition of p for values in ('us')`);
  });

  const entries = (type: string): readonly CapturedEntry[] => writer.entries().filter((entry) => entry.type === type);
  const gaps = () => entries('gap').map((entry) => ({ ...(entry['gap'] as Gap), table: (entry['object'] as { table: string }).table }));
  const rowOf = (id: number) => writer.entries().find((entry) => entry.type === 'row.insert' && JSON.stringify(entry['change']).includes(`"id":"${id}"`));
  const publication = () => database.audit.captureName(writer.origin);
  const started = async (tables: readonly string[]): Promise<void> => {
    run = await database.start(writer, auditSettings(tables));
    await until('the configuration is sealed', () => entries('audit.start')[0]);
    await admin.query('insert into u values ($1)', [1]);
    await until('the first row', () => rowOf(1));
  };
  /** Captured again: a row written now arrives. */
  const captured = async (table: string, id: number): Promise<void> => {
    await until(`row ${id} of ${table}`, async () => {
      await admin.query(`insert into ${table} (id) values ($1) on conflict do nothing`, [id]);
      return rowOf(id) ?? (await admin.query(`delete from ${table} where id = $1`, [id]), undefined);
    });
  };

  it.each([
    ['taken out of the publication', 'NotPublished', () => `alter publication ${publication()} drop table t`],
    ['given a row filter', 'Filtered', () => `alter publication ${publication()} set table t where (id < 0), u`],
    ['given a column list', 'Filtered', () => `alter publication ${publication()} set table t (id), u`],
    ['left out with its deletes', 'OperationsNotPublished', () => `alter publication ${publication()} set (publish = 'insert')`],
    ['taken out and put back at once', 'Interrupted', () => `alter publication ${publication()} drop table t; insert into t values (7, 'unseen'); alter publication ${publication()} add table t`],
  ])('seals a gap of a table that was %s', async (_what, problem, harm) => {
    await started(['t', 'u']);
    await admin.query(harm());
    const gap = await until('the gap', () => gaps().find((each) => each.table === 't'));
    expect(gap).toMatchObject({ problem, scope: 'table', from: expect.stringMatching(/^[0-9A-F]+\//), to: expect.stringMatching(/^[0-9A-F]+\//) });
    await captured('t', 100);
    expect(gaps().filter((each) => each.table === 't').length).toBe(1);
    expect(gaps().filter((each) => each.table === 'u').map((each) => each.problem)).toEqual(problem === 'OperationsNotPublished' ? [problem] : []);
    const { rows: proven } = await admin.query<{ before: boolean }>('select $1::pg_lsn < $2::pg_lsn as before', [gap.from, gap.to]);
    expect(proven[0]?.before).toBe(true);
    // Who did it, although nobody asked for DDL to be recorded.
    await until('its author', () => entries('ddl').some((entry) => JSON.stringify(entry['ddl']).includes('"ofCapture":true') && (entry['actor'] as { user: string }).user === 'postgres'));
  });

  it('seals a gap when the publication was dropped, and captures again', async () => {
    await started(['t', 'u']);
    await admin.query(`drop publication ${publication()}; insert into t values (50, 'unseen')`);
    // PostgreSQL up to 17 ends the stream, and 18 leaves the rows out with a warning.
    await until('a gap of the source, or of the table', () => entries('gap').find((entry) => entry['object'] === undefined || (entry['object'] as { table: string }).table === 't'));
    await captured('t', 51);
  });

  it('goes on with the others when a declared table is dropped, and says so; made anew, it is a gap', async () => {
    await started(['t', 'u']);
    await admin.query('drop table t');
    await until('the absence', () => entries('audit.config').find((entry) => JSON.stringify(entry['configuration'] ?? '').includes('"absent":[{"problem":"Missing"')));
    await captured('u', 200);
    await admin.query(`create table t (id int primary key, v text); insert into t values (1, 'unseen')`);
    await captured('t', 201);
    expect(gaps().map(({ table, problem }) => [table, problem])).toEqual([['t', 'Created']]);
  });

  it('seals a gap of a table that was dropped and made anew between two looks', async () => {
    await started(['t', 'u']);
    await admin.query(`begin; drop table t; create table t (id int primary key, v text); insert into t values (1, 'unseen'); commit`);
    await captured('t', 300);
    expect(gaps().map(({ table, problem }) => [table, problem])).toEqual([['t', 'Created']]);
  });

  it('captures a renamed table on, until another one bears its name', async () => {
    await started(['t', 'u']);
    await admin.query('alter table t rename to t_old');
    await until('a look', () => entries('audit.config').find((entry) => JSON.stringify(entry['configuration'] ?? '').includes('"table":"t_old"')));
    await captured('t_old', 400);
    expect(gaps()).toEqual([]);
  });

  it('starts with a table that does not exist, and one that is unlogged, and says which', async () => {
    await admin.query('alter table t set unlogged; create view later as select 1 as id');
    await started(['t', 'u', 'nowhere', 'later']);
    const begun = entries('audit.start')[0]?.['configuration'] as { absent: readonly { table: string; problem: string }[] } | undefined;
    expect(begun?.absent.map(({ table, problem }) => `${table} ${problem}`).sort()).toEqual(['later NotATable', 'nowhere Missing', 't Unlogged']);
    await admin.query('alter table t set logged');
    await captured('t', 500);
    expect(gaps().map(({ table, problem }) => [table, problem])).toEqual([['t', 'Created']]);
  });

  it('seals gaps of a partition that is unlogged, and of one that was detached for a while', async () => {
    await started(['p', 'u']);
    await admin.query(`insert into p values (600, 'eu'), (601, 'us')`);
    await until('both', () => rowOf(600) && rowOf(601));
    await admin.query('alter table p_eu set unlogged');
    await until('the gap', () => gaps().find(({ table, problem }) => table === 'p_eu' && problem === 'Unlogged'));
    await admin.query('alter table p_eu set logged');
    await until('its end', () => gaps().find(({ table, problem }) => table === 'p_eu' && problem === 'Returned'));
    await admin.query('alter table p detach partition p_us');
    await until('it left', () => !JSON.stringify(entries('audit.config').findLast((entry) => entry['configuration'] !== undefined)?.['configuration']).includes('p_us'));
    await admin.query(`delete from p_us; alter table p attach partition p_us for values in ('us')`);
    await until('it is back', () => gaps().find(({ table, problem }) => table === 'p_us' && problem === 'Returned'));
    await admin.query(`insert into p values (602, 'us'), (603, 'eu')`);
    await until('both', () => rowOf(602) && rowOf(603));
    expect(gaps().length).toBe(3);
    await admin.query(`alter table p detach partition p_us; delete from p_us; alter table p attach partition p_us for values in ('us')`);
    await until('gone and back between two looks', () => gaps().find(({ table, problem }) => table === 'p_us' && problem === 'Interrupted'));
  });

  it('seals lost attribution and reduced identity as tampering, no gap, and mends it', async () => {
    await started(['t', 'u']);
    await admin.query('alter table t disable trigger rowseal_open; alter table t replica identity default');
    await until('both', () => ['TriggerMissing', 'IdentityReduced'].every((problem) => entries('audit.config').some((entry) => JSON.stringify(entry['coverage'] ?? '').includes(problem))));
    await captured('t', 700);
    await until('attributed', async () => (await admin.query('insert into t values (701)').catch(() => undefined), (rowOf(701)?.['actor'] as { user?: string } | undefined)?.user === 'postgres'));
    expect(gaps()).toEqual([]);
    expect(entries('ddl').some((entry) => JSON.stringify(entry['ddl']).includes('"triggersLost":["public.t"]'))).toBe(true);
  });

  it('never takes a later statement for one whose triggers went in between', async () => {
    await started(['t', 'u']);
    await admin.query(`begin; insert into t values (800, 'attributed'); alter table t disable trigger all; insert into t values (801, 'not known'); commit`);
    const second = await until('the row', () => rowOf(801));
    expect(rowOf(800)?.['actor']).toMatchObject({ user: 'postgres' });
    expect(second['actor']).toEqual({ unattributed: true });
  });

  it('finds functions and event triggers of ours that were replaced', async () => {
    await started(['t', 'u']);
    await admin.query(`create or replace function rowseal.audit_open() returns trigger language plpgsql security definer as 'begin return null; end'`);
    await until('the function', () => entries('audit.config').find((entry) => JSON.stringify(entry['coverage'] ?? '').includes('FunctionReplaced')));
    await admin.query('drop event trigger rowseal_audit_2_sql_drop');
    await until('the event trigger', () => entries('audit.config').find((entry) => JSON.stringify(entry['coverage'] ?? '').includes('EventTriggerMissing')));
    await captured('t', 900);
    expect(gaps()).toEqual([]);
  });

  it.each(['revoke usage on schema rowseal from public', 'revoke execute on function rowseal.open(oid, text, name) from public'])('gives back what statements need: %s', async (revoke) => {
    await started(['t', 'u']);
    await admin.query(`do $$ begin create role worker; exception when duplicate_object then null; end $$; grant insert on t to worker`);
    await admin.query(revoke);
    await until('a write by a plain role', () => admin.query(`begin; set local role worker; insert into t values (910); commit`).then(() => true, async () => (await admin.query('rollback'), false)));
    await until('what was taken', () => entries('audit.config').find((entry) => JSON.stringify(entry['coverage'] ?? '').includes('RightsTaken')));
    expect((await until('the row', () => rowOf(910)))['actor']).toMatchObject({ role: 'worker' });
  });
});

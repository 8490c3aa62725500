// Who did it: each row its own actor whatever runs inside a statement, and no forged message ever names one.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter } from '../parts/memory-writer.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';

const schema = `
create role app login password 'app'; create role tenant; grant tenant to app; create role definer;
create table parent (id int primary key, note text);
create table child (id int primary key, parent int references parent on delete cascade on update cascade, note text);
create table other (id int generated always as identity primary key, note text);
create table parted (id int, region text, note text, primary key (id, region)) partition by list (region);
create table parted_eu partition of parted for values in ('eu');
create table parted_us partition of parted for values in ('us');
grant all on all tables in schema public to app, tenant, definer; grant usage on schema public to app, tenant, definer;
grant create on schema public to definer; grant definer to postgres;
create function note_other(text) returns text language plpgsql security definer set search_path = public as $$ begin insert into other (note) values ($1); return $1; end $$;
alter function note_other(text) owner to definer; grant execute on function note_other(text) to app, tenant;
create function nested_child() returns trigger language plpgsql security definer set search_path = public as $$ begin
  insert into other (note) values ('from trigger'); return new; end $$;
alter function nested_child() owner to definer;
create trigger nested before insert on child for each row execute function nested_child();`;

/** Where a role was given the right by name, it is kept, and messages carry an HMAC. */
const letWrite = `do $$ declare f text; begin for f in select oid::regprocedure from pg_proc where proname = 'pg_logical_emit_message' loop
  execute 'grant execute on function ' || f || ' to app'; end loop; end $$`;

describe.each([
  [15, 'Hmac'],
  [15, 'Privilege'],
  [16, 'Privilege'],
  [17, 'Hmac'],
  [18, 'Hmac'],
  [18, 'Privilege'],
] as const)('actors on PostgreSQL %s, proven by %s', (major, proof) => {
  let server: Postgres;
  let admin: pg.Client;
  let app: pg.Client;
  let database: AuditedDatabase;
  let run: RunningAudit;
  const writer = createMemoryWriter();

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major) });
    admin = await connected(server.uri());
    await admin.query(schema);
    if (proof === 'Hmac') await admin.query(letWrite);
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    run = await database.start(writer, auditSettings(['parent', 'child', 'other', 'parted']));
    await until('audit.start', () => writer.entries().some((entry) => entry.type === 'audit.start'));
    app = await connected(server.uri('postgres', 'app', 'app'));
    if (proof === 'Privilege') await until('the proof by privilege', async () => (await proofOf(admin)) === 'Privilege');
  });
  afterAll(async () => {
    await run?.stop();
    await database?.close();
    await app?.end();
    await admin?.end();
    await server?.stop();
  });

  /** Runs statements, and gives the entries that they led to, up to the fence row that follows them. */
  const entriesOf = async (client: pg.Client, ...statements: readonly string[]): Promise<readonly CapturedEntry[]> => {
    const before = writer.entries().length;
    for (const statement of statements) await client.query(statement);
    await admin.query(`insert into other (note) values ('fence')`);
    const isFence = (entry: CapturedEntry) => JSON.stringify(entry['change'] ?? '').includes('"fence"');
    await until('the fence row', () => writer.entries().slice(before).some(isFence));
    return writer.entries().slice(before).filter((entry) => !isFence(entry) && !['relation', 'ddl', 'audit.config'].includes(entry.type));
  };
  const effective = (entries: readonly CapturedEntry[], table?: string) =>
    entries
      .filter((entry) => table === undefined || (entry['object'] as { table: string }).table === table)
      .map((entry) => (entry['actor'] as { effective?: string }).effective ?? 'unattributed');

  it('names login, role, effective user, claims, application and client', async () => {
    const [entry] = await entriesOf(app, 'set role tenant', `set request.jwt.claims = '{"sub":"u1","n":[1,2]}'`, `insert into parent values (1, 'x')`, 'reset role', 'reset request.jwt.claims');
    expect(entry?.['actor']).toMatchObject({ user: 'app', role: 'tenant', effective: 'tenant', claims: { sub: 'u1', n: [1, 2] }, claimsVerified: false, client: '127.0.0.1' });
  });

  it('gives rows of a function inside an expression to the function owner, and the rows around it to the caller', async () => {
    const entries = await entriesOf(app, `insert into parent select n, note_other('inner ' || n) from generate_series(10, 12) n`);
    expect(effective(entries, 'other')).toEqual(['definer', 'definer', 'definer']);
    expect(effective(entries, 'parent')).toEqual(['app', 'app', 'app']);
  });

  it('gives rows of a definer trigger to its owner, also on the same table as a row of the caller', async () => {
    const entries = await entriesOf(app, 'begin', `insert into child values (100, 10, 'x')`, `insert into other (note) values ('own')`, 'commit');
    expect(effective(entries, 'other')).toEqual(['definer', 'app']);
    expect(effective(entries, 'child')).toEqual(['app']);
  });

  it('attributes foreign-key cascades, several levels in one statement', async () => {
    const entries = await entriesOf(app, `delete from parent where id = 10`);
    expect(effective(entries, 'parent')).toEqual(['app']);
    expect(effective(entries, 'child')).toEqual(['postgres']);
  });

  it('follows partitions: root and leaf addressed, rows moved, truncate, and a partition made later', async () => {
    const entries = await entriesOf(
      app,
      `insert into parted values (1, 'eu', 'a'), (2, 'us', 'b')`,
      `insert into parted_eu values (3, 'eu', 'direct')`,
      `update parted set region = 'us' where id = 1`,
      'truncate parted',
    );
    expect(entries.length).toBe(7);
    expect(effective(entries)).toEqual(Array.from({ length: 7 }, () => 'app'));
    const late = await entriesOf(admin, `create table parted_late partition of parted for values in ('ap')`, `insert into parted values (9, 'ap', 'late')`);
    expect(effective(late.filter((entry) => entry.type === 'row.insert'))).toEqual(['postgres']);
  });

  it('keeps actors apart over savepoints, rollbacks, COPY-like series, MERGE and ON CONFLICT', async () => {
    const entries = await entriesOf(
      app,
      'begin',
      'savepoint s',
      `insert into parent values (50, 'gone')`,
      'rollback to s',
      'set local role tenant',
      `insert into parent values (51, 'kept') on conflict (id) do update set note = 'kept'`,
      `merge into parent p using (values (51), (52)) v(id) on p.id = v.id when matched then update set note = 'm' when not matched then insert values (v.id, 'm')`,
      'commit',
    );
    expect(entries.map((entry) => entry.type)).toEqual(['row.insert', 'row.update', 'row.insert']);
    expect(effective(entries)).toEqual(['tenant', 'tenant', 'tenant']);
  });

  it('seals forged and replayed messages as forgery, and never takes an actor from them', async () => {
    if (proof === 'Privilege') {
      await expect(app.query(`select pg_logical_emit_message(true, 'rowseal.statement', 'x')`)).rejects.toMatchObject({ code: '42501' });
      return;
    }
    const genuine = await genuineMessage(server, admin);
    const entries = await entriesOf(
      app,
      `select pg_logical_emit_message(true, 'rowseal', repeat('x', 40))`,
      `select pg_logical_emit_message(false, 'rowseal', 'short')`,
      `begin`,
      `select pg_logical_emit_message(true, 'rowseal', decode('${genuine.toString('hex')}', 'hex'))`,
      `insert into parent values (70, 'after forgery')`,
      `commit`,
    );
    const forgeries = entries.filter((entry) => entry.type === 'forgery');
    expect(forgeries.map((entry) => (entry['forgery'] as { reason: string }).reason).sort()).toEqual(['BadMac', 'NotTransactional', 'WrongTransaction']);
    expect(forgeries.every((entry) => JSON.stringify(entry['actor']) === '{"unattributed":true}')).toBe(true);
    expect(effective(entries.filter((entry) => entry.type === 'row.insert'), 'parent')).toEqual(['app']);
  });

  it('lets no application role read the key or call what writes proven messages', async () => {
    for (const statement of ['select * from rowseal.audit_key', `select rowseal.emit('["m","x","y"]')`, 'select rowseal.emit_policy_digest(0)']) {
      await expect(app.query(statement)).rejects.toMatchObject({ code: '42501' });
    }
    await expect(
      admin.query(`create role app_owner; grant usage, create on schema public to app_owner; set role app_owner; create table mine (id int);
        create trigger t before insert on mine for each statement execute function rowseal.audit_close()`),
    ).rejects.toMatchObject({ code: '42501' });
    await admin.query('reset role');
  });

  it('says unattributed when a statement had no context', async () => {
    await admin.query('alter table parent disable trigger rowseal_open');
    const entries = await entriesOf(app, `insert into parent values (90, 'x')`);
    expect(effective(entries)).toEqual(['unattributed']);
    await admin.query('alter table parent enable always trigger rowseal_open');
  });
});

async function proofOf(admin: pg.Client): Promise<string | undefined> {
  const { rows } = await admin.query<{ proof: string }>('select proof from rowseal.audit_key');
  return rows[0]?.proof;
}

/** A message of ours copied from the WAL, as somebody who can read WAL could. */
async function genuineMessage(server: Postgres, admin: pg.Client): Promise<Buffer> {
  await admin.query('create publication thief for table other');
  await admin.query(`select pg_create_logical_replication_slot('thief', 'pgoutput')`);
  await admin.query(`insert into other (note) values ('watched')`);
  const { rows } = await admin.query<{ data: Buffer }>(
    `select data from pg_logical_slot_get_binary_changes('thief', null, null, 'proto_version', '1', 'publication_names', 'thief', 'messages', 'true')
      where get_byte(data, 0) = ascii('M')`,
  );
  await admin.query(`select pg_drop_replication_slot('thief')`);
  await admin.query('drop publication thief');
  const data = rows[0]?.data;
  if (data === undefined) throw new Error(`no message on port ${server.port}`);
  return data.subarray(1 + 1 + 8 + 'rowseal'.length + 1 + 4);
}

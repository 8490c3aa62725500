// Every way in which a statement comes to write: each row gets its own actor, whatever runs inside what.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditSettings, connected, until } from '../parts/audited-database.ts';
import { type ActorWorld, actorOf, effectiveOf, startActorWorld } from './actors-harness.ts';

const tables = ['a', 'b', 'tree', 'parent', 'child', 'grandchild', 'base', 'heir', 'fence'];
const schema = `
create role app login password 'app'; create role tenant; grant tenant to app; create role definer; grant definer to postgres;
create table fence (n int); create table a (id int primary key, note text); create table b (id int generated always as identity primary key, note text);
create table tree (id int primary key, up int references tree on delete set null, note text);
create table parent (id int primary key); create table child (id int primary key, parent int references parent on delete cascade);
create table grandchild (id int primary key, child int references child on delete set null);
create table base (id int, note text); create table heir () inherits (base);
grant all on all tables in schema public to app, tenant, definer; grant usage, create on schema public to definer;
create function f(text) returns text language plpgsql security definer set search_path = public as $$ begin insert into b (note) values ($1); return $1; end $$;
create function g(text) returns setof text language sql security definer set search_path = public as $$ insert into b (note) values ($1), ($1) returning note $$;
create function same(int) returns int language plpgsql security definer set search_path = public as $$ begin insert into a values ($1 + 1000, 'inner'); return $1; end $$;
create function failing(text) returns text language plpgsql security definer set search_path = public as $$ begin
  begin insert into b (note) values ('rolled back'); raise exception 'x'; exception when others then insert into b (note) values ($1); end; return $1; end $$;
create function before_row() returns trigger language plpgsql security definer set search_path = public as $$ begin
  if new.note = 'spread' then insert into b (note) values ('from trigger'); insert into a values (new.id + 500, 'by trigger'); end if; return new; end $$;
alter function f(text) owner to definer; alter function g(text) owner to definer; alter function same(int) owner to definer; alter function failing(text) owner to definer; alter function before_row() owner to definer;
create trigger z before insert on a for each row execute function before_row();`;

describe.each([15, 18] as const)('statements on PostgreSQL %s', (major) => {
  let world: ActorWorld;
  let app: pg.Client;

  beforeAll(async () => {
    world = await startActorWorld({ major, schema, settings: auditSettings(tables) });
    await until('the proof by privilege', async () => (await world.proof()) === 'Privilege');
    app = await world.client('app');
  });
  afterAll(() => world?.close());
  const effective = async (...statements: readonly string[]): Promise<readonly string[]> => effectiveOf(await world.entriesOf(app, ...statements));

  it('tells roles of one transaction apart', async () => {
    expect(await effective('begin', `insert into b (note) values ('1')`, 'set local role tenant', `insert into b (note) values ('2')`, `insert into a values (1, '')`, 'reset role', `update b set note = '3' where note = '1'`, 'commit')).toEqual([
      'b: app',
      'b: tenant',
      'a: tenant',
      'b: app',
    ]);
  });

  it('gives rows of functions in expressions, in RETURNING, and of SQL functions to their owners', async () => {
    expect(await effective(`insert into a select n, f('x') from generate_series(10, 11) n`)).toEqual(['b: definer', 'a: app', 'b: definer', 'a: app']);
    expect(await effective(`insert into a values (12, ''), (13, '') returning f('returning')`)).toEqual(['a: app', 'b: definer', 'a: app', 'b: definer']);
    expect(await effective(`select g('sql')`)).toEqual(['b: definer', 'b: definer']);
    expect(await effective('begin', `insert into b (note) values ('mine')`, `select g('sql')`, `insert into b (note) values ('mine')`, 'commit')).toEqual(['b: app', 'b: definer', 'b: definer', 'b: app']);
  });

  it('goes back to the outer statement after an inner one on the same table', async () => {
    expect(await effective('insert into a select same(n), null from generate_series(20, 22) n')).toEqual(['a: definer', 'a: app', 'a: definer', 'a: app', 'a: definer', 'a: app']);
  });

  it('follows BEFORE ROW triggers that write elsewhere and into the same table', async () => {
    expect(await effective(`insert into a values (30, 'spread'), (31, 'plain'), (32, 'spread')`)).toEqual(
      ['b: definer', 'a: definer', 'a: app', 'a: app'].concat(['b: definer', 'a: definer', 'a: app']),
    );
  });

  it('follows cascades over several levels and into the table itself', async () => {
    await world.entriesOf(app, 'insert into parent values (1), (2)', 'insert into child values (1, 1), (2, 1), (3, 2)', 'insert into grandchild values (1, 1), (2, 3)');
    expect((await effective('delete from parent')).toSorted()).toEqual(['child: postgres', 'child: postgres', 'child: postgres', 'grandchild: postgres', 'grandchild: postgres', 'parent: app', 'parent: app']);
    await world.entriesOf(app, 'insert into tree values (1, null), (2, 1), (3, 2)');
    // Rows whose parents went are updated by the table's owner.
    expect(await effective('delete from tree where id in (1, 2)')).toEqual(['tree: app', 'tree: app', 'tree: postgres']);
  });

  it('tells the parts of a WITH apart from what they call', async () => {
    expect(await effective(`with x as (insert into b (note) values ('cte') returning note), y as (update a set note = 'y' where id = 1 returning id) insert into parent select 40 from x, y`)).toEqual([
      'b: app',
      'a: app',
      'parent: app',
    ]);
    expect((await effective(`with x as (insert into b (note) select f('deep') returning note) insert into a select 41, note from x`)).toSorted()).toEqual(['a: app', 'b: app', 'b: definer']);
  });

  it('follows DO blocks, procedures that commit, COPY, MERGE, ON CONFLICT, cursors and prepared statements', async () => {
    expect(await effective(`do $$ begin insert into b (note) values ('do'); perform f('inner'); insert into b (note) values ('do'); end $$`)).toEqual(['b: app', 'b: definer', 'b: app']);
    await world.admin.query(`create or replace procedure p() language plpgsql as $$ begin insert into b (note) values ('1'); commit; insert into b (note) values ('2'); end $$; grant execute on procedure p() to app`);
    expect(await effective('call p()')).toEqual(['b: app', 'b: app']);
    expect(await effective(`merge into a using (values (1), (50)) v (id) on a.id = v.id when matched then update set note = f('m') when not matched then insert values (v.id, f('n'))`)).toEqual(
      expect.arrayContaining(['b: definer', 'a: app', 'b: definer', 'a: app']),
    );
    expect(await effective(`insert into a values (1, 'again'), (51, 'new') on conflict (id) do update set note = f('c')`)).toEqual(['b: definer', 'a: app', 'a: app']);
    expect(await effective('begin', `declare c cursor for select f('fetched ' || n) from generate_series(1, 3) n`, 'fetch 1 from c', `insert into b (note) values ('between')`, 'fetch 1 from c', 'commit')).toEqual([
      'b: definer',
      'b: app',
      'b: definer',
    ]);
    expect(await effective(`prepare s as insert into b (note) values ($1)`, `execute s ('1')`, 'set role tenant', `execute s ('2')`, 'reset role', 'deallocate s')).toEqual(['b: app', 'b: tenant']);
  });

  it('forgets what savepoints and exceptions roll back', async () => {
    expect(await effective('begin', `insert into b (note) values ('1')`, 'savepoint s', 'set local role tenant', `insert into b (note) values ('gone')`, 'rollback to s', `insert into b (note) values ('2')`, 'commit')).toEqual(['b: app', 'b: app']);
    expect(await effective(`insert into a select n, failing('kept') from generate_series(60, 61) n`)).toEqual(['b: definer', 'a: app', 'b: definer', 'a: app']);
  });

  it('is not led astray by who calls what opens a statement, or hides who calls', async () => {
    const forged = await world.entriesOf(app, 'begin', `insert into a values (70, ''), (71, '')`, `select rowseal.open('a'::regclass, 'INSERT', 'postgres')`, `insert into a values (72, '')`, 'commit');
    expect(effectiveOf(forged)).toEqual(['a: app', 'a: app', 'a: app']);
    const inside = await world.entriesOf(app, `insert into a select n, rowseal.open('a'::regclass, 'INSERT', 'postgres')::text from generate_series(73, 74) n`);
    expect(inside.map((entry) => actorOf(entry)['effective'])).toEqual([undefined, undefined]);
    expect(inside.map((entry) => actorOf(entry)['user'])).toEqual(['app', 'app']);
    const session = await world.client('app');
    const hidden = await world.entriesOf(session, 'set search_path = rowseal, public', `insert into public.a values (75, '')`);
    expect(actorOf(hidden[0])).toMatchObject({ user: 'app', role: 'app' });
    expect(actorOf(hidden[0])['effective']).toBeUndefined();
    const named = await world.entriesOf(
      app,
      `create function pg_temp.audit_open() returns pg_lsn language plpgsql as $$ begin return rowseal.open('public.a'::regclass, 'INSERT', 'postgres'); end $$`,
      `insert into a select 76, pg_temp.audit_open()::text`,
    );
    expect(effectiveOf(named)).toEqual(['a: unknown']);
  });

  it('holds where triggers are switched off for replicas, and lets nobody borrow an actor through inheritance', async () => {
    expect(effectiveOf(await world.entriesOf(world.admin, 'set session_replication_role = replica', `insert into b (note) values ('replica')`, 'reset session_replication_role'))).toEqual(['b: postgres']);
    expect(await effective('begin', `insert into heir values (1, '')`, `update base set note = 'through the parent'`, 'commit')).toEqual(['heir: app', 'heir: unattributed']);
  });

  it('leaves rows that a subscription applies without an actor', async () => {
    await world.admin.query(`create database origin`);
    const origin = await connected(world.uri('origin'));
    await origin.query(`create table b (id int primary key, note text); create publication pub for table b`);
    await origin.query(`select pg_create_logical_replication_slot('sub', 'pgoutput')`);
    await world.admin.query(`create subscription sub connection '${world.uri('origin')}' publication pub with (create_slot = false, slot_name = 'sub', copy_data = false)`);
    const before = world.entries().length;
    await origin.query(`insert into b values (999001, 'applied')`);
    const entry = await until('the applied row', () => world.entries().slice(before).find((found) => JSON.stringify(found['change'] ?? '').includes('applied')));
    expect(actorOf(entry)).toEqual({ unattributed: true });
    await world.admin.query('alter subscription sub disable');
    await world.admin.query('alter subscription sub set (slot_name = none)');
    await world.admin.query('drop subscription sub');
    await until('the slot to be free', () => world.admin.query(`select pg_drop_replication_slot('sub')`).then(() => true, () => false));
    await origin.end();
  });
});

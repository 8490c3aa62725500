// When a message needs an HMAC: who may write messages decides, and a change of that counts from its own commit.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditSettings, until } from '../parts/audited-database.ts';
import { type ActorWorld, actorOf, effectiveOf, startActorWorld } from './actors-harness.ts';

const schema = `create role app login password 'app'; create table fence (n int); create table a (id int primary key, note text);
create table root (id int, region text, note text) partition by list (region); create table detached (id int, region text, note text);
grant all on all tables in schema public to app; grant usage on schema public to app`;
/** What genuine messages look like, with another login in it. */
const forged = (relation: string) => `select pg_logical_emit_message(true, 'rowseal.statement', concat_ws(E'\\x1f', 'INSERT', '0', '${relation}'::regclass::oid, 1, 'x', 'postgres', 'none', 'postgres'))`;

describe.each([15, 18] as const)('proof of messages on PostgreSQL %s', (major) => {
  let world: ActorWorld;
  let app: pg.Client;
  beforeAll(async () => {
    world = await startActorWorld({ major, schema, settings: auditSettings(['a', 'root', 'fence']) });
    app = await world.client('app');
  });
  afterAll(() => world?.close());
  const eachFunction = (verb: string) => `do $$ declare f text; begin for f in select oid::regprocedure from pg_proc where proname = 'pg_logical_emit_message' loop execute replace('${verb}', '%', f); end loop; end $$`;

  it('waits for every transaction that may still write messages, then needs no HMAC', async () => {
    // Begun before the revocation is known to hold, with the right already checked, it could write for as long as it runs.
    await until('the proof by privilege', async () => (await world.proof()) === 'Privilege');
    expect(effectiveOf(await world.entriesOf(app, `insert into a values (1, '')`))).toEqual(['a: app']);
    await expect(app.query(forged('a'))).rejects.toMatchObject({ code: '42501' });
    expect(world.entries().filter((entry) => entry.type === 'forgery')).toEqual([]);
    const proofs = world.entries().filter((entry) => entry.type.startsWith('audit.')).map((entry) => (entry['configuration'] as { proof?: string } | undefined)?.proof);
    expect(proofs[0]).toBe('Hmac');
    expect(proofs.at(-1)).toBe('Privilege');
  });

  it('believes nothing without an HMAC from the GRANT on that lets others write, and seals both', async () => {
    const granted = await world.entriesOf(world.admin, eachFunction('grant execute on function % to app'));
    expect(granted.filter((entry) => entry.type === 'audit.config').map((entry) => (entry['configuration'] as { proof?: string }).proof)).toContain('Hmac');
    const entries = await world.entriesOf(app, 'begin', forged('a'), `insert into a values (2, '')`, forged('a'), 'commit', `insert into a values (3, '')`);
    expect(entries.filter((entry) => entry.type === 'forgery').map((entry) => (entry['forgery'] as { reason: string }).reason)).toEqual(['Unproven', 'Unproven']);
    expect(entries.filter((entry) => entry.type === 'row.insert').map((entry) => actorOf(entry)['user'])).toEqual(['app', 'app']);
    await world.admin.query(eachFunction('revoke execute on function % from app'));
    await until('the proof by privilege', async () => (await world.proof()) === 'Privilege');
  });

  it('does not believe what was written while others could, and is committed when they cannot any more', async () => {
    await world.admin.query(eachFunction('grant execute on function % to app'));
    await app.query('begin');
    // Within the statement, so that its row would belong to the forged one.
    await app.query(`insert into a select 20, (${forged('a')})::text`);
    await app.query(`prepare transaction 'late'`);
    await world.admin.query(eachFunction('revoke execute on function % from app'));
    await until('the proof by privilege', async () => (await world.proof()) === 'Privilege');
    // The change of the proof itself may be sealed in between.
    const entries = (await world.entriesOf(world.admin, `commit prepared 'late'`)).filter((entry) => entry.type === 'forgery' || entry.type.startsWith('row.'));
    expect(entries.map((entry) => (entry['forgery'] as { reason?: string } | undefined)?.reason ?? actorOf(entry)['user'])).toEqual(['Unproven', 'app']);
  });

  it('mends a GRANT to everybody, and relies on the privilege again', async () => {
    await world.admin.query(eachFunction('grant execute on function % to public'));
    await until('the proof by privilege', async () => (await world.proof()) === 'Privilege');
    await expect(app.query(forged('a'))).rejects.toMatchObject({ code: '42501' });
    expect(effectiveOf(await world.entriesOf(app, `insert into a values (4, '')`))).toEqual(['a: app']);
  });

  it('captures partitions from their first row on, made or attached, addressed directly', async () => {
    const made = await world.entriesOf(world.admin, 'begin', `create table root_eu partition of root for values in ('eu')`, 'grant all on root_eu to app', 'set local role app', `insert into root_eu values (1, 'eu', '')`, 'commit');
    expect(effectiveOf(made)).toEqual(['root_eu: app']);
    const attached = await world.entriesOf(world.admin, `alter table root attach partition detached for values in ('us')`, `insert into detached values (1, 'us', 'old')`, `update detached set note = 'new'`);
    expect(effectiveOf(attached)).toEqual(['detached: postgres', 'detached: postgres']);
    expect(JSON.stringify(attached.at(-1)?.['change'])).toContain('"before":{"id":"1","note":"old","region":"us"}');
  });
});

// What the application says of its user: checked tokens, roles, and one context for a whole transaction.
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClaimsDatabase } from '../../src/adapters/postgres/install-claims.ts';
import { openSession } from '../../src/adapters/postgres/session.ts';
import { type ClaimsKey, signClaims } from '../../src/model/claims-token.ts';
import { auditSettings } from '../parts/audited-database.ts';
import { type ActorWorld, actorOf, startActorWorld } from './actors-harness.ts';

const schema = `create role app login password 'app'; create role tenant; grant tenant to app;
create table fence (n int); create table a (id int primary key, note text); create table whole (id int primary key, note text);
grant all on all tables in schema public to app, tenant; grant usage on schema public to app, tenant`;
const never = new AbortController().signal;
const claims = { type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' } as const;

describe.each([15, 18] as const)('signed claims as actors on PostgreSQL %s', (major) => {
  let world: ActorWorld;
  let app: pg.Client;
  const key: ClaimsKey = { id: '2026', secret: randomBytes(32) };
  beforeAll(async () => {
    const beforeStart = async (place: { port: number; password: string; database: string }) => {
      const session = await openSession({ host: '127.0.0.1', user: 'postgres', tls: { mode: 'disable' }, claims, ...place }, never);
      await createClaimsDatabase({ session, claims }).install([key], never);
      await session.close();
    };
    const settings = { ...auditSettings(['a', 'fence']), tables: [...auditSettings(['a', 'fence']).tables, { ...auditSettings(['whole']).tables[0], schema: 'public', table: 'whole', operations: ['Insert'], context: 'Transaction' }] } as const;
    world = await startActorWorld({ major, schema, settings, claims, beforeStart });
    app = await world.client('app');
  });
  afterAll(() => world?.close());
  const token = async () => {
    const { rows } = await app.query<{ challenge: string }>('select rowseal.challenge() as challenge');
    return signClaims({ challenge: rows[0]?.challenge ?? '', claims: '{"sub":"ann"}', expiresAt: new Date(Date.now() + 3_600_000) }, key);
  };

  it('says that claims were checked, and has none where a token is refused', async () => {
    await app.query('begin');
    const good = await token();
    const [believed] = await world.entriesOf(app, `set local rowseal.token = '${good}'`, `insert into a values (1, '')`, 'commit');
    expect(actorOf(believed)).toMatchObject({ user: 'app', claims: { sub: 'ann' }, claimsVerified: true });
    const [replayed] = await world.entriesOf(app, 'begin', `set local rowseal.token = '${good}'`, `insert into a values (2, '')`, 'commit');
    expect(actorOf(replayed)).toMatchObject({ user: 'app', claimsVerified: false });
    expect(actorOf(replayed)['claims']).toBeUndefined();
    expect(JSON.stringify(world.entries())).not.toContain(good);
  });

  it('takes a token as the claims of a transaction', async () => {
    await app.query('begin');
    const [entry] = await world.entriesOf(app, `select rowseal.begin('${await token()}')`, `insert into whole values (1, '')`, 'commit');
    expect(actorOf(entry)).toMatchObject({ user: 'app', claims: { sub: 'ann' }, claimsVerified: true, evidence: 'transaction' });
  });
});

describe('roles as claims', () => {
  let world: ActorWorld;
  afterAll(() => world?.close());

  it('are what PostgreSQL proves', async () => {
    world = await startActorWorld({ major: 18, schema, settings: auditSettings(['a', 'fence']), claims: { type: 'Role' } });
    const app = await world.client('app');
    const [entry] = await world.entriesOf(app, 'set role tenant', `insert into a values (1, '')`, 'reset role');
    expect(actorOf(entry)).toMatchObject({ claims: { role: 'tenant', session_user: 'app' }, claimsVerified: true, effective: 'tenant' });
  });
});

describe.each([15, 18] as const)('context: Transaction on PostgreSQL %s', (major) => {
  let world: ActorWorld;
  let app: pg.Client;
  beforeAll(async () => {
    const [whole] = auditSettings(['whole']).tables;
    if (whole === undefined) throw new Error('no table');
    const settings = auditSettings(['a', 'fence']);
    world = await startActorWorld({ major, schema, settings: { ...settings, tables: [...settings.tables, { ...whole, context: 'Transaction' }] } });
    app = await world.client('app');
  });
  afterAll(() => world?.close());

  it('gives rows to what their transaction said of itself, and puts its claims where policies read them', async () => {
    const entries = await world.entriesOf(app, 'begin', `select rowseal.begin('{"sub":"ann"}')`, `insert into whole values (1, current_setting('request.jwt.claims'))`, `insert into a values (1, '')`, 'commit');
    expect(entries.map(actorOf)).toEqual([
      expect.objectContaining({ user: 'app', role: 'app', claims: { sub: 'ann' }, claimsVerified: false, evidence: 'transaction' }),
      expect.objectContaining({ user: 'app', effective: 'app', claims: { sub: 'ann' } }),
    ]);
    expect(actorOf(entries[0])['effective']).toBeUndefined();
    expect(JSON.stringify(entries[0]?.['change'])).toContain('ann');
  });

  it('gives rows of a transaction that said nothing, or took it back, to nobody', async () => {
    const silent = await world.entriesOf(app, `insert into whole values (2, '')`);
    expect(silent.map(actorOf)).toEqual([{ unattributed: true }]);
    const undone = await world.entriesOf(app, 'begin', 'savepoint s', `select rowseal.begin('{"sub":"ann"}')`, 'rollback to s', `insert into whole values (3, '')`, 'commit');
    expect(undone.map(actorOf)).toEqual([{ unattributed: true }]);
  });

  it('needs no trigger, and loses the one it had when nobody needs it any more', async () => {
    const { rows } = await world.admin.query<{ on: string }>(`select distinct tgrelid::regclass::text as on from pg_trigger where tgname like 'rowseal\\_%' order by 1`);
    expect(rows.map((row) => row.on)).toEqual(['a', 'fence']);
  });
});

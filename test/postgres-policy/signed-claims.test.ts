// Signed claims on a real PostgreSQL: what is believed, and everything an application role can try instead.
import { createHmac, randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createClaimsDatabase } from '../../src/adapters/postgres/install-claims.ts';
import type { ClaimsBinding } from '../../src/model/claims.ts';
import { type ClaimsKey, signClaims } from '../../src/model/claims-token.ts';
import type { ClaimsDatabase } from '../../src/ports/claims-database.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, never, type Rules, startFlow } from './harness.ts';

const newKey = (id: string): ClaimsKey => ({ id, secret: randomBytes(32) });
const inAnHour = () => new Date(Date.now() + 3_600_000);
const tenantRule: Rules = [{ name: 'tenant', roles: ['PUBLIC'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant'] }] } }];

/** A token made by hand, with whatever parts and whatever bytes as claims. */
function forge(key: ClaimsKey, parts: { readonly challenge: string; readonly claims: Buffer | string; readonly expiry?: string; readonly id?: string; readonly version?: string }): string {
  const head = [parts.version ?? 'rs1', parts.expiry ?? '2000000000', parts.id ?? key.id, parts.challenge, Buffer.from(parts.claims).toString('base64')].join('.');
  return `${head}.${createHmac('sha256', key.secret).update(head).digest('base64')}`;
}

describe.each([15, 18] as const)('signed claims on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let flow: Flow;
  let claims: ClaimsDatabase;
  let app: pg.Client;
  const clients: pg.Client[] = [];
  const key = newKey('2026-11');

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    flow = await startFlow(postgres, { type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' });
    await flow.admin.query(`create role app login password 'app'; create role tenant_a; create role tenant_b; grant tenant_a, tenant_b to app;
      create table orders (id int primary key, tenant_id text); insert into orders values (1, 'a'), (2, 'b'); grant all on orders to app, tenant_a, tenant_b`);
    await flow.converge('orders', { rules: tenantRule });
    claims = createClaimsDatabase({ session: flow.session, claims: { type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' } });
  });
  afterAll(async () => {
    await flow?.close();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await claims.install([key], never);
    app = await connectApp();
    await app.query('begin');
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end();
  });

  async function connectApp(database = 'postgres'): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: postgres.uri(database, 'app', 'app') });
    await client.connect();
    clients.push(client);
    return client;
  }
  const challengeOf = async (client: pg.Client, bind?: ClaimsBinding): Promise<string> => {
    const { rows } = await (bind === undefined ? client.query('select rowseal.challenge() as c') : client.query('select rowseal.challenge($1) as c', [bind]));
    return rows[0].c as string;
  };
  const setToken = (token: string, client = app) => client.query(`select set_config('rowseal.token', $1, true)`, [token]);
  const ids = async (client = app) => (await client.query('select id from orders order by id')).rows.map((row) => row.id as number);
  const reason = async (client = app) => (await client.query('select reason from rowseal.explain_claims()')).rows[0].reason as string;
  const sign = async (tenant: string, client = app) => signClaims({ challenge: await challengeOf(client), claims: JSON.stringify({ tenant }), expiresAt: inAnHour() }, key);

  it('asks a lookup past row security with signed claims alone: whoever calls its helper by hand learns nothing', async () => {
    await flow.admin.query(`create table members (tenant_id text, user_id text); insert into members values ('a', 'ann'), ('b', 'bob'); grant all on members to app;
      create table notes (id int primary key, tenant_id text); insert into notes values (1, 'a'), (2, 'b'); grant all on notes to app`);
    const member: Rules = [{ name: 'member', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', member: { table: 'members', column: 'tenant_id', where: { all: [{ column: 'user_id', op: 'Eq', claim: ['user'] }] } } }] } }];
    await flow.converge('notes', { target: { schema: 'public', tables: ['notes', 'members'] }, rules: member });
    await app.query('rollback');
    await app.query('begin');
    const { rows } = await flow.admin.query<{ call: string }>(`select oid::regproc::text as call from pg_proc where proname ~ '^member_'`);
    const forged = async () => (await app.query(`select ${rows[0]?.call}('app', '{"user":"bob"}') as tenant`)).rows.map((row) => row.tenant as string);
    expect(await forged()).toEqual([]);
    await setToken(signClaims({ challenge: await challengeOf(app), claims: JSON.stringify({ user: 'ann' }), expiresAt: inAnHour() }, key));
    expect((await app.query('select id from notes')).rows).toEqual([{ id: 1 }]);
    expect(await forged()).toEqual(['a']);
  });

  it('believes a token in the transaction it was signed for, and only there', async () => {
    expect(await ids()).toEqual([]);
    expect(await reason()).toBe('NoToken');
    const token = await sign('a');
    await setToken(token);
    expect(await ids()).toEqual([1]);
    expect(await reason()).toBe('Accepted');
    await app.query('commit');
    expect(await ids()).toEqual([]);
    await app.query('begin');
    await setToken(token);
    expect(await ids()).toEqual([]);
    expect(await reason()).toBe('AnotherTime');
    await setToken(await sign('b'));
    expect(await ids()).toEqual([2]);
    await expect(app.query(`insert into orders values (9, 'a')`)).rejects.toMatchObject({ code: '42501' });
  });

  it('refuses it in another session, role, database, and after its time', async () => {
    const token = await sign('a');
    const other = await connectApp();
    await other.query('begin');
    await setToken(token, other);
    expect([await ids(other), await reason(other)]).toEqual([[], 'AnotherTime']);
    await setToken(token);
    await app.query('set local role tenant_a');
    expect([await ids(), await reason()]).toEqual([[], 'AnotherRole']);
    await setToken(await sign('b'));
    expect(await ids()).toEqual([2]);
    await app.query('reset role');
    expect(await ids()).toEqual([]);
    await setToken(signClaims({ challenge: await challengeOf(app), claims: '{"tenant":"a"}', expiresAt: new Date(Date.now() - 1000) }, key));
    expect([await ids(), await reason()]).toEqual([[], 'Expired']);
    const parts = JSON.parse(Buffer.from(await challengeOf(app), 'hex').toString()) as (string | number)[];
    const hexOf = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('hex');
    for (const [index, why] of [[0, 'AnotherBinding'], [1, 'AnotherSystem'], [2, 'AnotherDatabase'], [3, 'AnotherTime'], [4, 'AnotherTime'], [5, 'AnotherUser'], [6, 'AnotherRole']] as const) {
      const challenge = hexOf(parts.map((part, at) => (at === index ? 'x' : part)));
      await setToken(forge(key, { challenge, claims: '{"tenant":"a"}' }));
      expect([await ids(), await reason()], why).toEqual([[], why]);
    }
  });

  it('refuses whatever is not exactly what the key signed, and never fails', async () => {
    const challenge = await challengeOf(app);
    const good = forge(key, { challenge, claims: '{"tenant":"a"}' });
    const [version, expiry, , place, , mac] = good.split('.') as [string, string, string, string, string, string];
    const swap = (part: number, text: string) => good.split('.').map((old, at) => (at === part ? text : old)).join('.');
    const bodyOfB = Buffer.from('{"tenant":"b"}').toString('base64');
    const tries: Readonly<Record<string, readonly string[]>> = {
      Malformed: ['x', '.....', '{"tenant":"a"}', `${version}.${expiry}`, swap(0, 'rs2'), `${good}.`, ` ${good}`, `${good}\n`, swap(5, mac.slice(0, -1)), swap(4, ''), swap(1, '-1'), 'é'.repeat(50), swap(5, `${mac}=`), good.replace('=', ''), `${good.slice(0, -45)}A${mac}`, `${good.slice(0, -45)}é${mac}`, mac, `.${mac}`].filter((token) => token !== good),
      TooLong: ['a'.repeat(20_000), forge(key, { challenge, claims: JSON.stringify({ tenant: 'a', pad: 'x'.repeat(20_000) }) })],
      UnknownKey: [swap(2, 'other'), forge(newKey('nobody'), { challenge, claims: '{"tenant":"a"}' })],
      WrongSignature: [swap(4, bodyOfB), swap(1, '1999999999'), swap(3, place.replace(/^../, '5c')), swap(5, `A${mac.slice(1)}`), forge({ ...key, secret: randomBytes(32) }, { challenge, claims: '{"tenant":"a"}' }), swap(5, `${'A'.repeat(43)}=`), swap(5, `${mac.slice(0, -4)}====`.slice(0, 44))],
    };
    for (const [why, tokens] of Object.entries(tries)) {
      for (const token of tokens) {
        await setToken(token);
        expect(await ids(), `${why}: ${token.slice(0, 40)}`).toEqual([]);
        expect(why === 'Malformed' ? [why, 'WrongSignature'] : [why, 'Malformed'], token.slice(-50)).toContain(await reason());
      }
    }
    await setToken(good);
    expect(await ids()).toEqual([1]);
  });

  it('reads whatever a key holder signs without failing', async () => {
    const challenge = await challengeOf(app);
    const seen = async (body: Buffer | string, extra: Partial<Parameters<typeof forge>[1]> = {}) => {
      await setToken(forge(key, { challenge, claims: body, ...extra }));
      return ids();
    };
    expect(await seen('{"tenant":"b","tenant":"a"}')).toEqual([1]);
    expect(await seen('{"tenant":"\\u0061","é":"日本 😀 \\\\"}')).toEqual([1]);
    expect(await seen(`{"tenant":"a","pad":"${'x'.repeat(8_000)}"}`)).toEqual([1]);
    const broken = ['{', 'null', '[]', '"a"', '{"tenant":null}', '{"tenant":{"a":1}}', '{"tenant":"a\\u0000"}', '{"tenant":"\\ud800"}', '[' .repeat(8_000), Buffer.from([0x7b, 0xff, 0x7d]), Buffer.from([0]), Buffer.from('7b22c0af227d', 'hex'), Buffer.from('22eda08022', 'hex'), Buffer.from('22f490808022', 'hex')];
    for (const body of broken) expect(await seen(body), String(body).slice(0, 20)).toEqual([]);
    expect(await reason()).toBe('NotJson');
    expect(await seen('{"tenant":"a"}', { expiry: '1e9' })).toEqual([]);
    expect(await seen('{"tenant":"a"}', { expiry: '9999999999' })).toEqual([1]);
    for (const expiry of ['99999999999', '', '0', '999999999', 'NaN', '-999999999']) expect(await seen('{"tenant":"a"}', { expiry }), expiry).toEqual([]);
    expect(await seen('{"tenant":"a"}', { version: 'rs2' })).toEqual([]);
    expect(await seen('{"tenant":"a"}', { challenge: `${challenge}00` })).toEqual([]);
    for (const odd of ['5b5d', '7b7d', '22', 'ff', '5b', Buffer.from('["Transaction"]').toString('hex'), '00']) {
      expect(await seen('{"tenant":"a"}', { challenge: odd }), odd).toEqual([]);
      expect(['Malformed', 'AnotherBinding', 'AnotherSystem']).toContain(await reason());
    }
  });

  it('keeps two keys alive, and refuses a token once its key is taken away', async () => {
    const next = newKey('2026-12');
    await claims.install([key, next], never);
    const challenge = await challengeOf(app);
    const signed = (by: ClaimsKey) => signClaims({ challenge, claims: '{"tenant":"a"}', expiresAt: inAnHour() }, by);
    for (const by of [key, next]) {
      await setToken(signed(by));
      expect(await ids()).toEqual([1]);
    }
    await setToken(signed({ id: key.id, secret: next.secret }));
    expect([await ids(), await reason()]).toEqual([[], 'WrongSignature']);
    await claims.install([next], never);
    await setToken(signed(key));
    expect([await ids(), await reason()]).toEqual([[], 'UnknownKey']);
    await setToken(signed(next));
    expect(await ids()).toEqual([1]);
    await claims.install([{ id: next.id, secret: key.secret }], never);
    expect(await ids()).toEqual([]);
  });

  it('writes nothing while the keys stay the same', async () => {
    const xmin = async () => (await flow.admin.query('select xmin::text, ctid::text from rowseal.claims_key')).rows;
    const before = await xmin();
    expect((await claims.install([key], never)).readers).toEqual([]);
    expect(await xmin()).toEqual(before);
  });

  it('lets nobody but its owner read the keys', async () => {
    await app.query('savepoint s');
    await expect(app.query('select * from rowseal.claims_key')).rejects.toMatchObject({ code: '42501' });
    await app.query('rollback to s');
    await flow.admin.query(`create role reader; grant pg_read_all_data to reader; create role writer; grant pg_write_all_data to writer; grant reader, writer to app`);
    for (const role of ['tenant_a', 'writer']) {
      await app.query(`savepoint s; set local role ${role}`);
      await expect(app.query('select * from rowseal.claims_key'), role).rejects.toMatchObject({ code: '42501' });
      await app.query('rollback to s');
    }
    await app.query('set local role reader');
    expect((await app.query('select * from rowseal.claims_key')).rows).toEqual([]);
    await app.query('savepoint s');
    for (const text of ['set local row_security = off; select * from rowseal.claims_key', `select rowseal.claims_pad('a', 'b', 1)`, 'create table rowseal.mine ()', `set role rowseal_claims_${(await flow.admin.query('select oid from pg_database where datname = current_database()')).rows[0].oid}`]) {
      await expect(app.query(text), text).rejects.toMatchObject({ code: '42501' });
      await app.query('rollback to s');
    }
    await app.query('reset role; set local role writer');
    await expect(app.query(`insert into rowseal.claims_key values ('mine', '', '')`)).rejects.toMatchObject({ code: '42501' });
    await flow.admin.query('revoke reader, writer from app');
  });

  it('is not misled by search_path, shadowed functions, operators and types, or settings', async () => {
    await flow.admin.query(`create schema if not exists evil; grant all on schema evil to app`);
    await app.query('commit');
    await app.query(`create or replace function evil.texteq(text, text) returns bool language sql as 'select true';
      create or replace function evil.textregexeq(text, text) returns bool language sql as 'select true';
      create or replace function evil.byteaeq(bytea, bytea) returns bool language sql as 'select true';
      create or replace function evil.sha256(bytea) returns bytea language sql as $$ select ''::bytea $$;
      create or replace function evil.clock_timestamp() returns timestamptz language sql as $$ select '1970-01-01'::timestamptz $$;
      create or replace function evil.eq(text, text) returns bool language sql as 'select true';
      drop operator if exists evil.= (text, text);
      create operator evil.= (leftarg = text, rightarg = text, function = evil.eq)`);
    await app.query(`begin; set local search_path = evil, pg_temp, pg_catalog; create temp table claims_key (id text, inner_pad bytea, outer_pad bytea) on commit drop; insert into claims_key values ('x', '', '')`);
    const token = await sign('a');
    await setToken(token);
    expect((await app.query('select id from public.orders')).rows).toEqual([{ id: 1 }]);
    for (const forged of [forge(newKey('x'), { challenge: await challengeOf(app), claims: '{"tenant":"a"}' }), `${token.slice(0, -5)}AAAA=`, '']) {
      await setToken(forged);
      expect((await app.query('select id from public.orders')).rows).toEqual([]);
    }
    for (const name of ['rowseal.claims', 'rowseal.key_mask', 'rowseal.bind', 'request.jwt.claims']) await app.query('select set_config($1, $2, true)', [name, '{"tenant":"a"}']);
    expect((await app.query('select id from public.orders')).rows).toEqual([]);
    // A weaker kind of token does not do for policies that ask for a stronger one, whoever asks for its challenge.
    await setToken(forge(key, { challenge: await challengeOf(app, 'Expiry'), claims: '{"tenant":"a"}' }));
    expect((await app.query(`select id from public.orders`)).rows).toEqual([]);
    expect((await app.query(`select rowseal.signed_claims('rowseal.token', 'Expiry') as c`)).rows).toEqual([{ c: { tenant: 'a' } }]);
  });

  it('does not let the caller decide what times, numbers, bytes and literals mean', async () => {
    // What a user may choose as a name must not become a claim, whatever a backslash means to this session.
    const name = JSON.stringify({ name: 'x","tenant":"b', tenant: 'a' });
    const expired = String(Math.floor(Date.now() / 1000) - 5);
    await app.query('commit');
    for (const settings of ['standard_conforming_strings = off', 'extra_float_digits = -13', 'extra_float_digits = -15', `DateStyle = 'SQL, DMY'`, `TimeZone = 'Asia/Tokyo'`, 'bytea_output = escape', 'row_security = off', `IntervalStyle = sql_standard`, `client_encoding = 'LATIN1'`, `lc_numeric = 'C'`]) {
      // A fresh session, since the functions are parsed once in each.
      const client = await connectApp();
      await client.query(`set ${settings}`);
      await client.query('begin');
      await setToken(await sign('a', client), client);
      await client.query(`set local row_security = on`);
      expect(await ids(client), settings).toEqual([1]);
      await setToken(forge(key, { challenge: await challengeOf(client), claims: name }), client);
      expect(await ids(client), settings).toEqual([1]);
      await setToken(forge(key, { challenge: await challengeOf(client), claims: '{"tenant":"a"}', expiry: expired }), client);
      expect([await ids(client), await reason(client)], settings).toEqual([[], 'Expired']);
      if (settings.includes('row_security')) expect((await client.query(`set local row_security = off; select rowseal.signed_claims('rowseal.token', 'Transaction') as c`) as unknown as { rows: unknown[] }[])[1]?.rows).toEqual([{ c: null }]);
    }
  });

  it('asks again at each execution of a prepared statement, and in parallel plans', async () => {
    await app.query('commit');
    await app.query(`set plan_cache_mode = force_generic_plan; prepare mine as select id from orders order by id`);
    for (const [tenant, row] of [['a', 1], ['b', 2]] as const) {
      await app.query('begin');
      await setToken(await sign(tenant));
      expect((await app.query('execute mine')).rows).toEqual([{ id: row }]);
      await app.query('commit');
      expect((await app.query('execute mine')).rows).toEqual([]);
    }
    await app.query(`begin; set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0; set local min_parallel_table_scan_size = 0; set local max_parallel_workers_per_gather = 2; set local enable_indexscan = off; set local enable_indexonlyscan = off; set local enable_bitmapscan = off`);
    await setToken(await sign('a'));
    const plan = (await app.query('explain select count(*) from orders')).rows.map((row) => String(Object.values(row)[0])).join('\n');
    expect(plan.includes('Gather')).toBe(major >= 16);
    expect((await app.query('select count(*)::int as n from orders')).rows).toEqual([{ n: 1 }]);
    await setToken(`${(await sign('a')).slice(0, -5)}AAAA=`);
    expect((await app.query('select count(*)::int as n from orders')).rows).toEqual([{ n: 0 }]);
  });

  it('accepts what Session and Expiry say, where the policies ask for no more', async () => {
    const verdict = async (bind: ClaimsBinding, token: string, client = app) => {
      await setToken(token, client);
      return (await client.query(`select rowseal.signed_claims('rowseal.token', $1) is not null as ok, reason from rowseal.explain_claims('rowseal.token', $1)`, [bind])).rows[0] as { ok: boolean; reason: string };
    };
    const other = await connectApp();
    await other.query('begin');
    const expiring = forge(key, { challenge: await challengeOf(app, 'Expiry'), claims: '{}' });
    expect(await verdict('Expiry', expiring, other)).toEqual({ ok: true, reason: 'Accepted' });
    expect(await verdict('Transaction', expiring)).toEqual({ ok: false, reason: 'AnotherBinding' });
    expect(await verdict('Nothing' as ClaimsBinding, expiring)).toMatchObject({ ok: false });
    // Without the right to see when a session began, nothing is believed that rests on it.
    expect(await challengeOf(app, 'Session')).toBe(null);
    const owner = (await flow.admin.query(`select pg_get_userbyid(relowner)::text as owner from pg_class where oid = 'rowseal.claims_key'::regclass`)).rows[0].owner as string;
    await flow.admin.query(`grant pg_read_all_stats to ${owner}`);
    await app.query('commit; begin');
    const inSession = forge(key, { challenge: await challengeOf(app, 'Session'), claims: '{}' });
    await app.query('commit; begin');
    expect(await verdict('Session', inSession)).toEqual({ ok: true, reason: 'Accepted' });
    expect(await verdict('Session', inSession, other)).toEqual({ ok: false, reason: 'AnotherTime' });
    await flow.admin.query(`revoke pg_read_all_stats from ${owner}`);
    await app.query('commit; begin');
    expect(await verdict('Session', inSession)).toEqual({ ok: false, reason: 'Unanswerable' });
  });

  it('is not carried into another database or past a changed user', async () => {
    await flow.admin.query('create database twin template template0');
    const token = await sign('a');
    const twin = await connectApp('twin');
    await expect(twin.query('select rowseal.challenge()')).rejects.toThrow();
    await setToken(token);
    await flow.admin.query('alter role app rename to app2');
    expect(await ids()).toEqual([]);
    await flow.admin.query(`alter role app2 rename to app`);
    expect(await ids()).toEqual([1]);
  });
});

// What a malicious predicate, a widened probe role or a killed operator can do to the probe: as if no check of ours had stood before it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectionTarget } from '../../src/adapters/postgres/connection-target.ts';
import { asActor, rolledBack } from '../../src/adapters/postgres/evaluate.ts';
import { readFacts } from '../../src/adapters/postgres/facts.ts';
import { createProbe, type Probe } from '../../src/adapters/postgres/probe.ts';
import { openSession, type Session } from '../../src/adapters/postgres/session.ts';
import type { RunQuery } from '../../src/adapters/postgres/run-query.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';

const randomness = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
const signal = () => AbortSignal.timeout(30_000);

describe.each([18, 17, 16, 15] as const)('PostgreSQL %s with the least rights', (major) => {
  let postgres: Postgres;
  let session: Session;
  let probe: Probe;

  const newProbe = async (over: { temporary?: boolean; deadlineMs?: number } = {}) =>
    createProbe({ session, facts: await session.exclusively((query) => readFacts(query, session.target), signal()), randomness, ...over });

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    await withClient(postgres.uri(), (client) =>
      client.query(`
        create role operator login createrole bypassrls password 'op'; create role app nologin; create role strong nologin;
        grant connect, create on database postgres to operator with grant option; grant app to operator with admin option;
        create table public.treasure (gold text); insert into public.treasure values ('secret row');
        create table public.notes (line text); grant select, insert, update, delete on public.notes to app;
        create sequence public.numbers; grant usage on sequence public.numbers to app;
        create function public.scribble() returns boolean language sql volatile as 'insert into public.notes values (''was here''); select true';
        create function public.endless() returns boolean language plpgsql as $$ begin
          loop begin perform pg_sleep(0.2); exception when query_canceled then null; end; end loop; end $$;`),
    );
    const target = connectionTarget({ spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'x' } } }, secret: { data: { uri: postgres.uri('postgres', 'operator', 'op') }, annotations: {}, resourceVersion: '' }, secretName: 'x' });
    session = await openSession(target, signal());
    probe = await newProbe();
  });
  afterAll(async () => {
    await session?.close();
    await postgres?.stop();
  });

  /** The SQLSTATE of what the expression does as the role app, or undefined when it went through. */
  async function evaluate(expression: string, using: Probe = probe): Promise<string | undefined> {
    const run = (query: RunQuery) => rolledBack(query, () => asActor(query, { role: 'app' }, () => query(`select ${expression}`)));
    try {
      await using.use(['app'], run, signal());
      return undefined;
    } catch (error) {
      return (error as { code?: string }).code ?? (error as Error).message;
    }
  }

  const stepOut = `set_config('role', 'none', true)`;
  const single = async (sql: string) => withClient(postgres.uri(), async (client) => Object.values((await client.query(sql)).rows[0] as object)[0] as unknown);

  test.each([
    ['reads a table it has no right to', `query_to_xml('select * from public.treasure', true, true, '')`, '42501'],
    ['steps out and reads it', `${stepOut} || query_to_xml('select * from public.treasure', true, true, '')::text`, '42501'],
    ['becomes the operator', `set_config('role', 'operator', true)`, '42501'],
    ['writes where its role may', 'public.scribble()', '25006'],
    ['steps out, turns read-only off and writes', `${stepOut} || set_config('transaction_read_only', 'off', false) || public.scribble()::text`, '25001'],
    ['moves a sequence', `nextval('public.numbers')`, '25006'],
    ['reads a file', `pg_read_file('postgresql.conf')`, '42501'],
    ['imports a file', `lo_import('/etc/passwd')`, '42501'],
    ['never ends', 'pg_sleep(60)', '57014'],
    ['makes a value larger than any can be', `length(repeat(repeat('x', 100000000), 100))`, '54000'],
  ])('an expression that %s gets nothing', async (_what, expression, code) => {
    expect(await evaluate(expression)).toBe(code);
    expect(await single('select count(*)::int from public.notes')).toBe(0);
    expect(await single(`select is_called from public.numbers`)).toBe(false);
  });

  test('ending other backends is not to be had, and its own end is its own', async () => {
    expect(await evaluate(`pg_terminate_backend(${session.pid})`)).toBe('42501');
    expect(await evaluate(`${stepOut} || pg_terminate_backend(${session.pid})::text`)).toBe('42501');
    expect(await evaluate('pg_terminate_backend(pg_backend_pid())')).toBe('42501');
    expect(await evaluate(`${stepOut} || pg_terminate_backend(pg_backend_pid())::text`)).toBe('57P01');
    expect(await session.query('select 1 as one', [], signal())).toEqual([{ one: 1 }]);
  });

  test('a lock that outlives the transaction ends with the connection, as does a large object', async () => {
    expect(await evaluate('pg_advisory_lock(42)')).toBe(undefined);
    await evaluate('lo_create(4242)');
    expect(await single(`select count(*)::int from pg_locks where locktype = 'advisory' and objid = 42`)).toBe(0);
    expect(await single('select count(*)::int from pg_largeobject_metadata')).toBe(0);
  });

  test('a limit that an expression takes away is there again for the next one', async () => {
    const run = (query: RunQuery) =>
      rolledBack(query, async () => {
        const actor = { role: 'app' };
        await asActor(query, actor, () => query(`select set_config('statement_timeout', '0', false), ${stepOut}`));
        return asActor(query, actor, () => query<{ role: string; timeout: string }>(`select current_user::text as role, current_setting('statement_timeout') as timeout`));
      });
    expect(await probe.use(['app'], run, signal())).toEqual([{ role: 'app', timeout: '5s' }]);
  });

  test('a function that catches its cancel is ended with its backend', async () => {
    const started = Date.now();
    expect(await evaluate('public.endless()', await newProbe({ deadlineMs: 2_000 }))).toBeTruthy();
    expect(Date.now() - started).toBeLessThan(8_000);
    expect(await single(`select count(*)::int from pg_stat_activity where usename like 'rowseal_probe%' and query like '%endless%'`)).toBe(0);
  });

  test('a probe that somebody made a member of more, or gave attributes, is put right or not used', async () => {
    expect(await evaluate('true')).toBe(undefined);
    const name = await single(`select rolname::text from pg_roles where rolname like 'rowseal_probe%'`);
    await withClient(postgres.uri(), (client) => client.query(`grant strong to "${String(name)}"; alter role "${String(name)}" createdb inherit`));
    // The operator may take away neither what a superuser granted nor, from 16 on, what it may not grant itself.
    const outcome = await evaluate(`1 / (not pg_has_role(session_user, 'strong', 'MEMBER') and not (select rolcreatedb from pg_roles where rolname = session_user))::int`);
    if (outcome !== undefined) {
      expect(outcome).toBe('DatabasePrivilege');
      await withClient(postgres.uri(), (client) => client.query(`revoke strong from "${String(name)}"; alter role "${String(name)}" nocreatedb noinherit`));
    }
    expect(await evaluate('true')).toBe(undefined);
  });

  test('what a killed process left is taken away by the next: login, password, memberships, temporary roles', async () => {
    const killed = await newProbe({ temporary: true });
    expect(await evaluate('true', killed)).toBe(undefined);
    expect(await evaluate('true', await newProbe())).toBe(undefined);
    const roles = () => withClient(postgres.uri(), async (client) => (await client.query(`select rolname::text as name, rolcanlogin as login, rolvaliduntil > now() as valid from pg_roles where rolname like 'rowseal_probe%' order by 1`)).rows as { name: string; login: boolean; valid: boolean }[]);
    expect((await roles()).map(({ login, valid }) => ({ login, valid }))).toEqual([{ login: true, valid: true }, { login: true, valid: true }]);
    const temporary = (await roles())[1]?.name ?? '';
    await withClient(postgres.uri(), (client) => client.query(`alter role "${temporary}" valid until '2020-01-01'`));
    await (await newProbe()).close(signal());
    expect((await roles()).map(({ login }) => login)).toEqual([false]);
    expect(await single(`select count(*)::int from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname like 'rowseal_probe%'`)).toBe(0);
  });

  test('the probes of two databases on one server leave each other alone', async () => {
    await withClient(postgres.uri(), (client) => client.query('create database second'));
    await withClient(postgres.uri(), (client) => client.query('grant connect, temporary on database second to operator with grant option'));
    const target = { ...session.target, database: 'second' };
    const other = await openSession(target, signal());
    const second = createProbe({ session: other, facts: await other.exclusively((query) => readFacts(query, target), signal()), randomness });
    for (const each of [probe, second, probe, second]) expect(await evaluate('current_database()', each)).toBe(undefined);
    await second.close(signal());
    expect(await evaluate('true')).toBe(undefined);
    await other.close();
  });

  test('a temporary probe leaves no role, and takes nothing from the lasting one', async () => {
    expect(await evaluate('true')).toBe(undefined);
    const other = await newProbe({ temporary: true });
    expect(await evaluate('true', other)).toBe(undefined);
    await other.close(signal());
    expect(await evaluate('true')).toBe(undefined);
    expect(await single(`select count(*)::int from pg_roles where rolname ~ '^rowseal_probe_[0-9]+_'`)).toBe(0);
  });
});

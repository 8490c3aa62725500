// The catalog's fingerprint: every change that lints could see changes it, and nothing else does.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLintDatabase } from '../../src/adapters/postgres/lint-database.ts';
import { createProbe, type Probe } from '../../src/adapters/postgres/probe.ts';
import { openShortSession, type ShortSession } from '../../src/adapters/postgres/short-session.ts';
import type { LintDatabase } from '../../src/ports/lint-database.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { withClient } from '../parts/shop.ts';

const signal = () => AbortSignal.timeout(30_000);

describe.each(supportedMajors)('PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let session: ShortSession;
  let probe: Probe;
  let database: LintDatabase;

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    await withClient(postgres.uri(), (client) =>
      client.query(`create role app login; create table orders (id int, tenant_id text); create table notes (id int); create view v as select * from orders; grant select on orders, v to app;
        alter table orders enable row level security; create policy tenant on orders using (tenant_id = current_setting('app.tenant_id', true))`),
    );
    const claims = { type: 'Setting', setting: 'request.jwt.claims' } as const;
    session = await openShortSession({ host: '127.0.0.1', port: postgres.port, database: 'postgres', user: 'postgres', password: postgres.password, tls: { mode: 'disable' }, claims }, 'test', signal());
    probe = createProbe({ session, facts: { user: 'postgres', database: 'postgres', versionNumber: major * 10_000 }, randomness: { bytes: (length) => new Uint8Array(randomBytes(length)) } });
    database = createLintDatabase({ session, probe });
  });
  afterAll(async () => {
    await probe?.close(signal());
    await session?.close();
    await postgres?.stop();
  });

  test('rows, statistics, temporary tables and witnesses leave it as it is', async () => {
    const before = await database.fingerprint(signal());
    await withClient(postgres.uri(), (client) => client.query(`create temporary table t (id int primary key, name text default 'x'); insert into orders values (2, 'acme'); analyze orders`));
    expect(await database.runWitnesses([{ role: 'app', kind: 'ViewReadsMore', view: { schema: 'public', table: 'v' }, shows: '' }], signal())).toMatchObject([{ result: 'Shown' }]);
    expect(await database.fingerprint(signal())).toBe(before);
  });

  test.each([
    ['a grant', 'grant select on notes to public'],
    ['a column grant', 'grant select (id) on orders to app'],
    ['a policy', 'create policy all_of_it on orders using (true)'],
    ['a removal', 'drop policy all_of_it on orders'],
    ['a role attribute', 'alter role app createrole'],
    ['a membership', 'create role boss; grant boss to app'],
    ['a function', 'create function f() returns int language sql return 1'],
    ['a function of another body', 'create or replace function f() returns int language sql return 2'],
    ['a trigger', 'create function g() returns trigger language plpgsql as $$begin return null; end$$; create trigger t after insert on orders execute function g()'],
    ['an index', 'create index on orders (tenant_id)'],
    ['a publication', 'create publication p for table orders'],
    ['a privilege on the database', 'revoke temporary on database postgres from public'],
  ])('%s changes it', async (_what, sql) => {
    const before = await database.fingerprint(signal());
    expect(await database.fingerprint(signal())).toBe(before);
    await withClient(postgres.uri(), (client) => client.query(sql));
    expect(await database.fingerprint(signal())).not.toBe(before);
  });
});

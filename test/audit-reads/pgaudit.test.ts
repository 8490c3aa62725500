// Logins and reads of a real server with pgaudit, in both formats, through its own rotation.
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter } from '../parts/memory-writer.ts';
import { installPgaudit, pgauditInstallation, pgauditSettings } from '../parts/pgaudit.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';

const missing = installPgaudit();
if (missing !== undefined) console.log(`no pgaudit: ${missing}`);

describe.skipIf(missing !== undefined).each([['jsonlog', 'Omit'], ['csvlog', 'Record']] as const)('reads from %s', (format, statements) => {
  let server: Postgres;
  let admin: pg.Client;
  let database: AuditedDatabase;
  let run: RunningAudit;
  const writer = createMemoryWriter();
  const ofType = (type: string): readonly CapturedEntry[] => writer.entries().filter((entry) => entry.type === type);
  const read = (entry: CapturedEntry | undefined) => entry?.['read'] as { object?: string; statement?: string } | undefined;

  beforeAll(async () => {
    const logging = ['logging_collector = on', `log_destination = '${format}'`, 'log_connections = on', "log_timezone = 'UTC'", "log_directory = 'server-log'", "pgaudit.log = 'read'", 'pgaudit.log_relation = on', 'pgaudit.log_parameter = on'];
    server = await startPostgres({ installation: pgauditInstallation, settings: [...pgauditSettings, ...logging, "log_filename = 'a-%H%M%S'", "lc_messages = 'C'"] });
    admin = await connected(server.uri());
    await admin.query(`create role app login password 'app'; create table t (id int primary key, note text); grant all on t to app; insert into t values (1, 'SECRET')`);
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    const reads = { folder: join(server.dataFolder, 'server-log'), format, statements };
    run = await database.start(writer, { ...auditSettings(['t']), reads });
    await until('reads begin', () => ofType('audit.start').some((entry) => entry['reads'] !== undefined));
  });
  afterAll(async () => {
    await run?.stop();
    await database?.close();
    await admin?.end();
    await server?.stop();
  });

  it('records who logged in and who read which table, also behind a rotation, and no parameter', async () => {
    const app = await connected(server.uri('postgres', 'app', 'app'));
    await app.query('select * from t where note = $1', ['SECRET-parameter']);
    const first = await until('a read', () => ofType('read').find((entry) => read(entry)?.object === 'public.t'));
    expect(first).toMatchObject({ type: 'read', actor: { user: 'app', client: '127.0.0.1' }, read: { command: 'SELECT', objectType: 'TABLE', scope: 'SESSION' } });
    expect(read(first)?.statement).toBe(statements === 'Record' ? 'select * from t where note = $1' : undefined);
    expect(ofType('session.login').some((entry) => (entry['actor'] as { user: string }).user === 'app')).toBe(true);
    // The name of the next file holds another second.
    await admin.query('select pg_sleep(1.1)');
    await admin.query('select pg_rotate_logfile()');
    await admin.query('select pg_sleep(0.3)');
    await app.query('select count(*) from t');
    await app.end();
    await until('a read behind the rotation', () => ofType('read').filter((entry) => read(entry)?.object === 'public.t').length === 2);
    expect(ofType('gap')).toEqual([]);
    expect(JSON.stringify(writer.entries().filter(({ type }) => !type.startsWith('row.')))).not.toContain('SECRET');
    expect((await run.status(AbortSignal.timeout(5_000))).reads).toEqual({});
  });

  it('takes no record that a session raised for one of pgaudit', async () => {
    const app = await connected(server.uri('postgres', 'app', 'app'));
    await app.query(`do $$ begin raise log 'AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.forged,select,<none>'; end $$`);
    await app.query(`select 'AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.forged,select,<none>' from t`);
    await app.end();
    await until('the forgery', () => ofType('forgery').find((entry) => (entry['forgery'] as { reason: string }).reason === 'RaisedBySession'));
    expect(ofType('read').filter((entry) => read(entry)?.object === 'public.forged')).toEqual([]);
  });
});

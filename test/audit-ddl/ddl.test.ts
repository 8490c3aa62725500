// DDL, rights and roles in the log: in the order of the WAL and with their author where event triggers tell, else with the range they happened in.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter } from '../parts/memory-writer.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';

interface Ddl {
  readonly command?: string;
  readonly event?: string;
  readonly evidence: string;
  readonly objects?: readonly { readonly type: string; readonly identity: string; readonly acl?: readonly string[]; readonly columns?: readonly (readonly string[])[] }[];
  readonly rewrite?: readonly string[];
  readonly triggersLost?: readonly string[];
  readonly kind?: string;
  readonly name?: string;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly range?: { readonly from: string | null; readonly to: string };
}

describe.each(supportedMajors)('DDL on PostgreSQL %s', (major) => {
  let server: Postgres;
  let admin: pg.Client;
  let app: pg.Client;
  let database: AuditedDatabase;
  let run: RunningAudit;
  const writer = createMemoryWriter();

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major) });
    admin = await connected(server.uri());
    await admin.query(`create role app login password 'app'; create role tenant; grant tenant to app; grant create on schema public to app;
      create table orders (id int primary key, note text); alter table orders owner to app; create table notes (id int primary key);
      create function owned_ddl() returns void language plpgsql security definer as $$ begin create table by_definer (i int); end $$; grant execute on function owned_ddl() to app`);
    database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    run = await database.start(writer, auditSettings(['orders'], 'Full', 'Record'));
    app = await connected(server.uri('postgres', 'app', 'app'));
    await until('the environment is sealed', () => writer.entries().some((entry) => entry['environment'] !== undefined));
  });
  afterAll(async () => {
    await run?.stop();
    await database?.close();
    await app?.end();
    await admin?.end();
    await server?.stop();
  });

  const entriesOf = (type: string): readonly CapturedEntry[] => writer.entries().filter((entry) => entry.type === type);
  const ddlOf = (entry: CapturedEntry): Ddl | undefined => entry['ddl'] as Ddl | undefined;
  const sealed = async (what: string, wanted: (ddl: Ddl) => boolean): Promise<CapturedEntry> => until(what, () => entriesOf('ddl').find((entry) => wanted(ddlOf(entry) ?? { evidence: 'none' })));

  it('seals a command with its objects and author, in its place among the row changes', async () => {
    await app.query(`select set_config('request.jwt.claims', '{"sub":"alice"}', false)`);
    await app.query(`insert into orders values (1, 'before')`);
    await app.query('alter table orders add column amount int default 5');
    await app.query(`insert into orders values (2, 'after', 7)`);
    await until('both rows', () => entriesOf('row.insert').length === 2);
    const altered = await sealed('ALTER TABLE', (ddl) => ddl.command === 'ALTER TABLE' && ddl.objects?.[0]?.columns?.length === 3);
    const about = (entry: CapturedEntry) => (entry.type === 'row.insert' ? 'row' : ddlOf(entry)?.objects?.[0]?.columns?.length === 3 ? 'ALTER TABLE' : undefined);
    expect(writer.entries().map(about).filter((what) => what !== undefined)).toEqual(['row', 'ALTER TABLE', 'row']);
    expect(altered).toMatchObject({
      object: { schema: 'public', table: 'orders' },
      actor: { user: 'app', role: 'app', effective: 'app', claims: { sub: 'alice' }, claimsVerified: false },
      ddl: { evidence: 'wal', event: 'ddl_command_end', objects: [{ type: 'table', identity: 'public.orders', columns: [['id', 'integer'], ['note', 'text'], ['amount', 'integer']] }] },
    });
  });

  it('says who a command ran as: role and effective user', async () => {
    await app.query('select owned_ddl()');
    expect(await sealed('by_definer', (ddl) => ddl.objects?.[0]?.identity === 'public.by_definer')).toMatchObject({ actor: { user: 'app', effective: 'postgres' } });
    await app.query('set role tenant');
    await admin.query('grant create on schema public to tenant');
    await app.query('create table by_tenant (i int)');
    await app.query('reset role');
    expect(await sealed('by_tenant', (ddl) => ddl.objects?.[0]?.identity === 'public.by_tenant')).toMatchObject({ actor: { user: 'app', role: 'tenant', effective: 'tenant' } });
  });

  it('seals drops, rewrites and rights with what they did', async () => {
    await admin.query('alter table orders alter column amount type bigint');
    expect(ddlOf(await sealed('the rewrite', (ddl) => ddl.event === 'table_rewrite'))?.rewrite).toEqual(['type']);
    await admin.query('alter table orders drop column amount');
    expect(ddlOf(await sealed('the drop', (ddl) => ddl.event === 'sql_drop'))?.objects?.[0]).toMatchObject({ type: 'table column', identity: 'public.orders.amount' });
    await admin.query('grant select on orders to tenant');
    expect(ddlOf(await sealed('the grant', (ddl) => ddl.command === 'GRANT' && ddl.objects?.[0]?.identity.includes('orders') === true))?.objects?.[0]?.acl).toContain('tenant=r/app');
    await admin.query('drop table notes');
    expect(ddlOf(await sealed('the table', (ddl) => ddl.command === 'DROP TABLE'))?.objects?.map(({ identity }) => identity)).toEqual(['public.notes']);
  });

  it('leaves out what was rolled back, and what is temporary', async () => {
    await admin.query('begin; create table never (i int); rollback');
    await admin.query('create temp table passing (i int); drop table passing');
    await admin.query('create table lasting (i int)');
    await sealed('a later one', (ddl) => ddl.objects?.[0]?.identity === 'public.lasting');
    expect(JSON.stringify(entriesOf('ddl'))).not.toMatch(/never|passing/);
  });

  it('never breaks the DDL of somebody else, and never tells its text', async () => {
    await admin.query('alter function rowseal.emit(text) rename to emit_elsewhere');
    await admin.query('create table in_spite (i int)');
    await admin.query('alter function rowseal.emit_elsewhere(text) rename to emit');
    await app.query(`comment on table orders is 'secret-comment'`);
    await sealed('the comment', (ddl) => ddl.command === 'COMMENT');
    expect(JSON.stringify(writer.entries())).not.toContain('secret-comment');
  });

  it('finds roles, memberships, passwords and settings by comparison, with the range in which they changed', async () => {
    const digest = (): unknown => (writer.entries().map((entry) => entry['environment'] as { digest: string } | undefined).findLast((environment) => environment !== undefined))?.digest;
    const before = digest();
    await admin.query(`create role auditor login password 'hunter22'; grant tenant to auditor; alter role auditor set search_path = 'x'; alter role auditor set app.token = 'hunter33'`);
    await admin.query(`alter system set work_mem = '5MB'`);
    const role = await sealed('the role', (ddl) => ddl.kind === 'role' && ddl.name === 'auditor');
    expect(role).toMatchObject({ actor: { unattributed: true }, ddl: { evidence: 'polled', after: { rolcanlogin: true, rolsuper: false }, range: { from: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) } } });
    expect(ddlOf(await sealed('the membership', (ddl) => ddl.kind === 'membership' && ddl.name === 'tenant -> auditor'))?.before).toBeUndefined();
    expect(ddlOf(await sealed('the setting', (ddl) => ddl.kind === 'setting' && ddl.name === 'search_path for role auditor'))?.after).toBe('x');
    expect(ddlOf(await sealed('the secret setting', (ddl) => ddl.name === 'app.token for role auditor'))?.after).toMatch(/^keyed:/);
    expect(ddlOf(await sealed('the server setting', (ddl) => ddl.kind === 'server setting' && ddl.name === 'work_mem'))?.after).toBe('5MB');
    await admin.query(`alter role auditor password 'hunter44'`);
    await sealed('the password', (ddl) => ddl.kind === 'role' && ddl.name === 'auditor' && ddl.before !== undefined);
    expect(digest()).not.toBe(before);
    expect(JSON.stringify(writer.entries())).not.toMatch(/hunter/);
  });

  it('names the environment in every row entry', async () => {
    await app.query(`insert into orders values (3, 'x')`);
    const row = await until('the row', () => entriesOf('row.insert').find((entry) => JSON.stringify(entry['change']).includes('"id":"3"')));
    const known = writer.entries().filter((entry) => entry['environment'] !== undefined).map((entry) => (entry['environment'] as { digest: string }).digest);
    expect(known).toContain((row['policy'] as { environment: string }).environment);
  });
});

// Without a superuser: what event triggers would tell is found by comparison and marked so, and a table that is not ours stops no other.
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installPolicySchema } from '../../src/adapters/postgres/install-policy.ts';
import { openSession } from '../../src/adapters/postgres/session.ts';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter } from '../parts/memory-writer.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';

describe.each([15, 18] as const)('an operator without superuser on PostgreSQL %s', (major) => {
  let server: Postgres;
  let admin: pg.Client;
  let database: AuditedDatabase;
  let run: RunningAudit;
  const writer = createMemoryWriter();
  const { signal } = new AbortController();

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major) });
    admin = await connected(server.uri());
    await admin.query(`create role operator login replication password 'operator'; grant create on database postgres to operator;
      create role app login password 'app'; create table ours (id int primary key); create table theirs (id int primary key);
      alter table ours owner to operator; grant all on ours, theirs to app, operator`);
    const place = { port: server.port, password: 'operator', user: 'operator', database: 'postgres' };
    database = await openAuditedDatabase(place);
    await database.close();
    const session = await openSession(database.target, signal);
    await installPolicySchema(session, signal);
    await session.close();
    database = await openAuditedDatabase(place);
    run = await database.start(writer, auditSettings(['ours', 'theirs'], 'Full', 'Record'));
    await until('the environment is sealed', () => writer.entries().some((entry) => entry['environment'] !== undefined));
  });
  afterAll(async () => {
    await run?.stop();
    await database?.close();
    await admin?.end();
    await server?.stop();
  });

  const find = (what: string, wanted: (entry: CapturedEntry) => boolean): Promise<CapturedEntry> => until(what, () => writer.entries().find(wanted));

  it('captures what it may, and names what it may not', async () => {
    await admin.query('insert into ours values (1)');
    await find('the row', (entry) => entry.type === 'row.insert');
    expect(writer.entries().find((entry) => entry.type === 'audit.start')?.['configuration']).toMatchObject({ absent: [{ table: 'theirs', problem: 'NotOwner' }], policyEvidence: 'polled' });
    const { coverage } = await until('a look', async () => {
      const status = await run.status(signal);
      return status.coverage === undefined ? undefined : status;
    });
    expect(coverage).toMatchObject({ eventTriggers: false, tables: [{ table: 'ours', problems: [] }, { table: 'theirs', problems: ['NotOwner'] }] });
  });

  it('marks policies as polled, and says in which range one changed', async () => {
    await admin.query('create policy p on ours using (true)');
    const drift = await find('the drift', (entry) => entry.type === 'policy.drift');
    expect(drift).toMatchObject({ actor: { unattributed: true }, policy: { evidence: 'polled', range: { from: expect.any(String), to: expect.any(String) } } });
    await admin.query('insert into ours values (2)');
    const row = await find('the row', (entry) => entry.type === 'row.insert' && JSON.stringify(entry['change']).includes('"id":"2"'));
    expect(row['policy']).toMatchObject({ evidence: 'polled', digest: (drift['policy'] as { digest: string }).digest });
  });

  it('finds rights and roles by comparison', async () => {
    await admin.query('revoke delete on ours from app; create role late');
    const rights = await find('the rights', (entry) => (entry['ddl'] as { kind?: string } | undefined)?.kind === 'table');
    expect(rights).toMatchObject({ actor: { unattributed: true }, ddl: { name: 'public.ours', evidence: 'polled', range: { from: expect.any(String), to: expect.any(String) } } });
    await find('the role', (entry) => (entry['ddl'] as { name?: string } | undefined)?.name === 'late');
  });

  it('captures a table from when it becomes ours', async () => {
    await admin.query('alter table theirs owner to operator');
    await until('a row', async () => {
      await admin.query('insert into theirs values (1) on conflict do nothing');
      const found = writer.entries().some((entry) => entry.type === 'row.insert' && (entry['object'] as { table: string }).table === 'theirs');
      return found || (await admin.query('delete from theirs'), undefined);
    });
  });
});

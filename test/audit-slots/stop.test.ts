// Auditing that nobody declares any more: the log says so once, whatever dies, and what was committed meanwhile is there when it comes back.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type pg from 'pg';
import { createAuditGroups, type AuditGroups } from '../../src/reconcile/audit-groups.ts';
import { createAuditKeeper } from '../../src/cli/audit-keeper.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import type { Database } from '../../src/ports/database.ts';
import type { LogWriter } from '../../src/ports/log-writer.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, silentLogger, until } from '../parts/audited-database.ts';
import { createMemoryWriter, type MemoryWriter } from '../parts/memory-writer.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';

describe('audit.stop', () => {
  const { signal } = new AbortController();
  let server: Postgres;
  let client: pg.Client;
  let audited: AuditedDatabase;
  let database: Database;
  let groups: AuditGroups;
  let log: MemoryWriter;
  let count = 0;

  beforeAll(async () => {
    server = await startPostgres();
    client = await connected(server.uri());
    await client.query('create table t (id int generated always as identity primary key)');
    audited = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    const { systemIdentifier, database: name } = await audited.audit.facts(signal);
    // Of a database the groups look at no more than these.
    database = { audit: audited.audit, facts: { systemIdentifier, database: name } } as unknown as Database;
  });
  afterAll(async () => {
    await groups?.close();
    await audited?.close();
    await client?.end();
    await server?.stop();
  });
  beforeEach(async () => {
    await groups?.close();
    log = createMemoryWriter(`test.example/stop${(count += 1)}`);
    const keeper = createAuditKeeper({ clock: systemClock, randomness: systemRandomness, logger: silentLogger });
    groups = createAuditGroups({ keeper, logger: silentLogger, onFailure: () => undefined });
  });

  const types = (): readonly string[] => log.entries().map(({ type }) => type).filter((type) => type === 'row.insert' || type === 'gap' || type === 'audit.start' || type === 'audit.stop');
  const begin = async (): Promise<void> => void (await groups.ensure('one', { database, log, settings: auditSettings(['t']) }, signal));
  const insert = async (rows: number): Promise<void> => {
    await client.query('insert into t default values');
    await until(`row ${rows}`, () => types().filter((type) => type === 'row.insert').length === rows);
  };
  const slots = async (): Promise<number> => (await client.query('select from pg_replication_slots where slot_name = $1', [audited.audit.captureName(log.origin)])).rowCount ?? 0;

  it('is sealed once when nobody is left, and what is retained gives everything when somebody comes back', async () => {
    await begin();
    await insert(1);
    await groups.end('one', { database, log, reason: 'PolicyDeleted' }, signal);
    await groups.end('one', { database, log, reason: 'PolicyDeleted' }, signal);
    expect(await slots()).toBe(1);
    await client.query('insert into t default values');
    await begin();
    await insert(3);
    expect(types()).toEqual(['audit.start', 'row.insert', 'audit.stop', 'row.insert', 'audit.start', 'row.insert']);
    const stop = log.entries().find(({ type }) => type === 'audit.stop');
    expect(stop?.['stop']).toMatchObject({ reason: 'PolicyDeleted', slot: 'Retained', triggers: 'Retained' });
  });

  it('is none when the operator stops', async () => {
    await begin();
    await insert(1);
    await groups.close();
    expect(types()).toEqual(['audit.start', 'row.insert']);
  });

  it('is sealed before anything is removed, once, whichever step fails', async () => {
    await begin();
    await insert(1);
    const refusing: LogWriter = { ...log, append: async () => Promise.reject(new Error('died')) };
    await expect(groups.remove('one', { database, log: refusing }, signal)).rejects.toThrow('died');
    expect(await slots()).toBe(1);
    const standing = { ...database, audit: { ...database.audit, remove: async () => Promise.reject(new Error('died')) } };
    await expect(groups.remove('one', { database: standing, log }, signal)).rejects.toThrow('died');
    expect(await slots()).toBe(1);
    await groups.remove('one', { database, log }, signal);
    expect(await slots()).toBe(0);
    expect(types()).toEqual(['audit.start', 'row.insert', 'audit.stop']);
    await begin();
    await insert(2);
    expect(types()).toEqual(['audit.start', 'row.insert', 'audit.stop', 'gap', 'audit.start', 'row.insert']);
    expect(log.entries().find(({ type }) => type === 'gap')?.['gap']).toMatchObject({ reason: 'Removed' });
  });
});

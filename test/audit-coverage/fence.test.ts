// Whoever was replaced installs nothing, drops nothing, and says nothing of a capture any more (DESIGN §5, Fence).
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPostgresEngine } from '../../src/adapters/postgres/engine.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import type { Database, Holder } from '../../src/ports/database.ts';
import { auditSettings } from '../parts/audited-database.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { quietLogger } from '../parts/quiet-logger.ts';

const holder: Holder = { clusterUid: 'a', leaseUid: 'l1', holdsLease: false };
const origin = 'test.example/fenced';
const { signal } = new AbortController();

describe('the fence around a capture', () => {
  let postgres: Postgres;
  let admin: pg.Client;
  let database: Database | undefined;

  beforeAll(async () => {
    postgres = await startPostgres();
    admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
  });
  afterAll(async () => {
    await database?.close();
    await admin?.end();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await database?.close();
    await admin.query('drop schema if exists rowseal cascade; drop table if exists orders; create table orders (id int)');
    const engine = createPostgresEngine({ clock: systemClock, randomness: systemRandomness, logger: quietLogger() });
    const secret = { data: { uri: postgres.uri() }, annotations: {}, resourceVersion: '1' };
    database = await engine.connect(engine.target({ spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 'x' } } }, secret, secretName: 's' }), holder, signal);
  });

  const audit = () => {
    if (database === undefined) throw new Error('not connected');
    return database.audit;
  };

  it('is there from the first installation on, in our name', async () => {
    await audit().install(origin, auditSettings(['orders']), signal);
    expect((await admin.query('select cluster_uid, lease_uid, epoch::int from rowseal.fence')).rows).toEqual([{ cluster_uid: 'a', lease_uid: 'l1', epoch: 1 }]);
    await audit().emitConfiguration(origin, auditSettings(['orders']), [], signal);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['installs nothing', () => audit().install(origin, auditSettings(['orders', 'later']), signal)],
    ['puts no configuration into the WAL', () => audit().emitConfiguration(origin, auditSettings(['orders']), [], signal)],
    ['says nothing of roles', () => audit().reportEnvironment(origin, 'Whole', signal)],
    ['removes nothing', () => audit().remove(origin, signal)],
  ])('who was replaced %s, and loses its session', async (_what, action) => {
    await audit().install(origin, auditSettings(['orders']), signal);
    await admin.query('update rowseal.fence set epoch = epoch + 1; create table if not exists later (id int)');
    await expect(action()).rejects.toMatchObject({ code: 'Fenced', retryable: true });
    await expect(database?.lost).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
    const { rows } = await admin.query(`select count(*)::int as published from pg_publication_tables where pubname like 'rowseal%'`);
    expect(rows).toEqual([{ published: 1 }]);
    expect((await admin.query('select from rowseal.audit_environment')).rowCount).toBe(0);
  });
});

// Publications and tables that lose changes while the slot stays healthy: each is one sealed gap (DESIGN §5, Coverage).
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connected, until } from '../parts/audited-database.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { type Watched, watched } from './capture.ts';

describe.each(supportedMajors)('on PostgreSQL %s', { timeout: 60_000 }, (major) => {
  let server: Postgres;
  let count = 0;
  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major) });
  });
  afterAll(async () => server?.stop());

  /** A database of its own, with a row that is sealed. */
  const begun = async (table = 'create table t (id int primary key)'): Promise<{ log: Watched; database: string; client: pg.Client }> => {
    const database = `d${(count += 1)}`;
    const admin = await connected(server.uri());
    await admin.query(`create database ${database}`);
    await admin.end();
    const client = await connected(server.uri(database));
    await client.query(table);
    return { log: watched(), database, client };
  };
  /** What somebody does to the publication, with a row written meanwhile. */
  const harms: [string, (name: string) => readonly string[]][] = [
    ['drops the publication', (name) => [`drop publication ${name}`, 'insert into t values (2)']],
    ['drops it and makes it anew', (name) => [`drop publication ${name}`, 'insert into t values (2)', `create publication ${name} for table only t`]],
    ['takes the table out', (name) => [`alter publication ${name} drop table t`, 'insert into t values (2)']],
    ['takes the table out and puts it back', (name) => [`alter publication ${name} drop table t`, 'insert into t values (2)', `alter publication ${name} add table only t`]],
  ];

  describe.each(harms)('somebody %s', (_what, harm) => {
    it.each(['stopped', 'running'])('while the capture is %s', async (when) => {
      const { log, database, client } = await begun();
      const at = await log.at(server, { database });
      await at.insert(1);
      const name = at.database.audit.captureName(log.writer.origin);
      if (when === 'stopped') await at.leave();
      for (const statement of harm(name)) await client.query(statement);
      const again = when === 'stopped' ? await log.at(server, { database }) : at;
      await until('a gap', () => log.gaps().length > 0);
      await again.insert(3);
      await again.leave();
      await client.end();
      expect(log.gaps().map(({ scope, missed, reason }) => scope === 'table' || (missed === true && reason === 'StreamRefused'))).toEqual([true]);
      expect(log.ids()).toEqual([1, 3]);
    });
  });

  it.each(['stopped', 'running'])('somebody sets a partition unlogged and back while the capture is %s', async (when) => {
    const { log, database, client } = await begun('create table t (id int primary key) partition by range (id); create table t1 partition of t default');
    const at = await log.at(server, { database });
    await at.insert(1);
    if (when === 'stopped') await at.leave();
    // Only the root stands in the publication, so PostgreSQL lets it happen.
    await client.query('alter table t1 set unlogged; insert into t values (2); alter table t1 set logged');
    const again = when === 'stopped' ? await log.at(server, { database }) : at;
    await until('a gap', () => log.gaps().length > 0);
    await again.insert(3);
    await again.leave();
    await client.end();
    expect(log.gaps()).toEqual([expect.objectContaining({ scope: 'table' })]);
    expect(log.ids()).toEqual([1, 3]);
  });
});

// WAL that is not ours: an idle database lets go of it, and what is kept is told.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { connected, until } from '../parts/audited-database.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Watched, watched } from './capture.ts';

const { signal } = new AbortController();

describe.each([15, 18] as const)('on PostgreSQL %s', { timeout: 60_000 }, (major) => {
  let server: Postgres;
  let admin: pg.Client;
  let other: pg.Client;
  let log: Watched;

  beforeAll(async () => {
    server = await startPostgres({ installation: installationOf(major), settings: ['max_slot_wal_keep_size = 1GB'] });
    admin = await connected(server.uri());
    await admin.query('create table t (id int primary key)');
    await admin.query('create database busy');
    other = await connected(server.uri('busy'));
    await other.query('create table noise (t text)');
    log = watched();
  });
  afterAll(async () => {
    await other?.end();
    await admin?.end();
    await server?.stop();
  });

  it('does not keep WAL that only another database writes', async () => {
    const place = await log.at(server);
    await place.insert(1);
    const restart = async (): Promise<bigint> => BigInt((await admin.query<{ at: string }>(`select (restart_lsn - '0/0')::text as at from pg_replication_slots`)).rows[0]?.at ?? '0');
    const before = await restart();
    const mib = 1024n * 1024n;
    // A slot moves on in steps: to a point where what runs was written down, as it is every fifteen seconds by itself, once a
    // marker behind it is confirmed, and a marker may wait for sixteen megabytes, so that an idle database is not written to all the time.
    await until('the slot has moved on', async () => {
      await other.query(`insert into noise select repeat(md5(n::text), 30) from generate_series(1, 8000) n`);
      await admin.query('checkpoint');
      await sleep(500);
      return (await restart()) > before + 24n * mib;
    });
    expect(log.gaps()).toEqual([]);
    expect(log.ids()).toEqual([1]);
    await place.leave();
  });

  it('says how much is kept, and whether anything limits it', async () => {
    const place = await log.at(server);
    await place.insert(2);
    const { retention } = await place.run.status(signal);
    expect(retention).toMatchObject({ unlimited: false, aheadOfStandbys: false, retainedBytes: expect.any(Number), safeBytes: expect.any(Number) });
    await admin.query(`alter system set max_slot_wal_keep_size = -1`);
    await admin.query('select pg_reload_conf()');
    await until('the server has heard of it', async () => (await place.run.status(signal)).retention?.unlimited === true);
    await admin.query(`select pg_create_physical_replication_slot('standby')`);
    expect((await place.run.status(signal)).retention?.aheadOfStandbys).toBe(major >= 17);
    await place.leave();
  });
});

// A standby that was promoted: what it lacks, what it kept, and that nothing is silent (DESIGN §5, Resuming, Slots).
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { parseLsn } from '../../src/model/branded.ts';
import { connected, until } from '../parts/audited-database.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { type Standby, startStandby } from '../parts/standby.ts';
import { watched } from './capture.ts';

const syncing = ['hot_standby_feedback = on', 'sync_replication_slots = on'];

describe.each(supportedMajors)('failover on PostgreSQL %s', { timeout: 60_000 }, (major) => {
  const installation = installationOf(major);
  const servers: Postgres[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
  });

  const pair = async (settings: readonly string[] = []): Promise<{ primary: Postgres; standby: Standby }> => {
    const primary = await startPostgres({ installation });
    servers.push(primary);
    const client = await connected(primary.uri());
    await client.query(`create table t (id int primary key); select pg_create_physical_replication_slot('standby', true)`);
    await client.end();
    const standby = await startStandby({ primary, installation, slot: 'standby', settings });
    servers.push(standby);
    return { primary, standby };
  };
  const replayed = async (primary: Postgres, standby: Standby): Promise<void> => {
    const from = await connected(primary.uri());
    const to = await connected(standby.uri());
    const { rows } = await from.query<{ at: string }>('select pg_current_wal_flush_lsn()::text as at');
    await until('the standby has replayed everything', async () => (await to.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as done', [rows[0]?.at])).rows[0]?.done === true);
    await from.end();
    await to.end();
  };

  it('seals one gap for a standby that has everything but the slot', async () => {
    const { primary, standby } = await pair();
    const log = watched();
    const before = await log.at(primary);
    await before.insert(1);
    await replayed(primary, standby);
    await before.leave();
    await primary.stop();
    await standby.promote();
    const after = await log.at(standby);
    await after.insert(2);
    expect(log.gaps()).toEqual([expect.objectContaining({ type: 'gap', reason: 'SlotMissing', missed: true, timeline: 2, from: expect.objectContaining({ timeline: 1 }) })]);
    expect(log.ids()).toEqual([1, 2]);
    await after.leave();
    expect((await restarted(standby, log)).gaps).toBe(1);
  });

  it('names what a standby lacks that was promoted too early', async () => {
    const { primary, standby } = await pair();
    const log = watched();
    const before = await log.at(primary);
    await before.insert(1);
    await replayed(primary, standby);
    // The walsender of the standby is held, so that what follows never gets there.
    const keeper = await connected(primary.uri());
    const { rows } = await keeper.query<{ pid: number }>(`select pid from pg_stat_replication where application_name = 'standby'`);
    process.kill(rows[0]?.pid ?? 0, 'SIGSTOP');
    await before.insert(2);
    await before.insert(3);
    await keeper.end();
    await before.leave();
    process.kill(rows[0]?.pid ?? 0, 'SIGKILL');
    await primary.stop();
    await standby.promote();
    const after = await log.at(standby);
    await after.insert(4);
    const [gap, ...more] = log.gaps();
    expect(more).toEqual([]);
    expect(gap).toMatchObject({ type: 'gap.rewound', reason: 'TimelineSwitched', missed: true, timeline: 2, lacking: { changes: 2, transactions: 2, leaves: { first: 3, last: 4 } } });
    const survived = parseLsn(String(gap?.['survived']));
    const sealed = log.writer.entries().filter((entry) => entry.type === 'row.insert').map((entry) => parseLsn((entry['source'] as { commitLsn: string }).commitLsn));
    expect(sealed.slice(0, 3).map((at) => at < survived)).toEqual([true, false, false]);
    expect(log.ids()).toEqual([1, 2, 3, 4]);
    await after.leave();
    expect((await restarted(standby, log)).gaps).toBe(1);
  });

  it.runIf(major >= 17)('goes on without a gap from a synchronised slot', async () => {
    const { primary, standby } = await pair(syncing);
    const log = watched();
    const before = await log.at(primary);
    await before.insert(1);
    await synchronised(primary, standby);
    await before.insert(2);
    await before.leave();
    const writer = await connected(primary.uri());
    await writer.query('insert into t values (3)');
    await writer.end();
    await replayed(primary, standby);
    await primary.stop();
    await standby.promote();
    const admin = await connected(standby.uri());
    await admin.query('insert into t values (4)');
    await admin.end();
    const after = await log.at(standby);
    await after.insert(5);
    expect(log.gaps()).toEqual([]);
    expect(log.ids()).toEqual([1, 2, 3, 4, 5]);
    // Of these, 3 was read from the new primary, and written on the old one.
    expect(log.timelines()).toEqual([1, 1, 1, 2, 2]);
    await after.leave();
  });

  it.runIf(major >= 17)('misses nothing of a standby that kept the slot and lacks what was sealed', async () => {
    const { primary, standby } = await pair(syncing);
    const log = watched();
    const before = await log.at(primary);
    await before.insert(1);
    await synchronised(primary, standby);
    await before.insert(2);
    await replayed(primary, standby);
    const keeper = await connected(primary.uri());
    const { rows } = await keeper.query<{ pid: number }>(`select pid from pg_stat_replication where application_name = 'standby'`);
    process.kill(rows[0]?.pid ?? 0, 'SIGSTOP');
    await before.insert(3);
    await keeper.end();
    await before.leave();
    process.kill(rows[0]?.pid ?? 0, 'SIGKILL');
    await primary.stop();
    await standby.promote();
    const admin = await connected(standby.uri());
    await admin.query('insert into t values (4)');
    await admin.end();
    const after = await log.at(standby);
    await after.insert(5);
    expect(log.gaps()).toEqual([expect.objectContaining({ type: 'gap.rewound', reason: 'TimelineSwitched', missed: false, lacking: expect.objectContaining({ changes: 1 }) })]);
    // 3 is of the history that ended; 4 was written before the capture was there again.
    expect(log.ids()).toEqual([1, 2, 3, 4, 5]);
    await after.leave();
    expect((await restarted(standby, log)).gaps).toBe(1);
  });

  /** What a further start says: no further gap, whatever it was. */
  async function restarted(server: Postgres, log: ReturnType<typeof watched>): Promise<{ gaps: number }> {
    const again = await log.at(server);
    await again.insert(99);
    await again.leave();
    return { gaps: log.gaps().length };
  }

  async function synchronised(primary: Postgres, standby: Standby): Promise<void> {
    const from = await connected(primary.uri());
    const to = await connected(standby.uri());
    let filler = -1000;
    await until('the slot is synchronised', async () => {
      // The slot is taken over once its reader has moved on, past a snapshot of what runs.
      await from.query('select pg_log_standby_snapshot()');
      await from.query('insert into t values ($1)', [(filler -= 1)]);
      await sleep(100);
      return (await to.query('select from pg_replication_slots where synced and not temporary')).rowCount === 1;
    });
    await from.end();
    await to.end();
  }
});

// A disk that was put back, another server behind the address, and slots that somebody meddled with: each is one sealed gap (DESIGN §5, Slots).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connected, until } from '../parts/audited-database.ts';
import { freePort, installationOf, type Postgres, startOnData, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { copyData } from '../parts/standby.ts';
import { type Watched, watched } from './capture.ts';

describe.each(supportedMajors)('on PostgreSQL %s', { timeout: 60_000 }, (major) => {
  const installation = installationOf(major);
  const servers: Postgres[] = [];
  const folders: string[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  const server = async (settings: readonly string[] = []): Promise<Postgres> => {
    const started = await startPostgres({ installation, settings });
    servers.push(started);
    const client = await connected(started.uri());
    await client.query('create table t (id int primary key)');
    await client.end();
    return started;
  };
  /** Stops a server and makes a copy of its disk. */
  const saved = async (data: Postgres, root: string): Promise<string> => {
    await data.stop();
    const copy = mkdtempSync(join(tmpdir(), 'rowseal-copy-'));
    folders.push(copy);
    copyData(join(root, 'data'), copy);
    return copy;
  };
  const opened = async (root: string, password: string): Promise<Postgres> => {
    const started = await startOnData({ installation, root, password, port: await freePort(), keep: true });
    servers.push(started);
    return started;
  };
  const write = async (to: Postgres, ids: readonly number[]): Promise<void> => {
    const client = await connected(to.uri());
    await client.query('insert into t select unnest($1::int[])', [ids]);
    await client.end();
  };
  /** One more start: whatever was lost is told once. */
  const restarted = async (log: Watched, at: Postgres): Promise<number> => {
    const again = await log.at(at);
    await again.insert(1_000_000);
    await again.leave();
    return log.gaps().length;
  };

  it.each([
    ['is behind what was sealed', [20]],
    ['went beyond it in another way', Array.from({ length: 2000 }, (_, index) => 100 + index)],
  ])('says that the sealed end never happened when a restored copy %s', async (_what, differently) => {
    const root = mkdtempSync(join(tmpdir(), 'rowseal-origin-'));
    folders.push(root);
    const first = await startPostgres({ installation, dataFolder: root });
    servers.push(first);
    const client = await connected(first.uri());
    await client.query('create table t (id int primary key)');
    await client.end();
    const log = watched();
    const before = await log.at(first);
    await before.insert(1);
    await log.settled(before);
    await before.leave();
    const copy = await saved(first, root);
    const original = await opened(root, first.password);
    const ahead = await log.at(original);
    for (const id of [2, 3, 4]) await ahead.insert(id);
    await ahead.leave();
    await original.stop();
    const restored = await opened(copy, first.password);
    await write(restored, differently);
    const after = await log.at(restored);
    await after.insert(5000);
    const [gap, ...more] = log.gaps();
    expect(more).toEqual([]);
    expect(gap).toMatchObject({ type: 'gap.rewound', timeline: 1, missed: false, lacking: { changes: 3, transactions: 3 } });
    // What the copy did by itself is there, each once, and so is what it had in common.
    expect(log.ids()).toEqual([1, 2, 3, 4, ...differently, 5000]);
    await after.leave();
    expect(await restarted(log, restored)).toBe(1);
  });

  it('is a gap of a table that was audited only after the copy was made', async () => {
    const root = mkdtempSync(join(tmpdir(), 'rowseal-origin-'));
    folders.push(root);
    const first = await startPostgres({ installation, dataFolder: root });
    servers.push(first);
    const client = await connected(first.uri());
    await client.query('create table t (id int primary key); create table later (id int primary key)');
    await client.end();
    const log = watched();
    const before = await log.at(first);
    await before.insert(1);
    await log.settled(before);
    await before.leave();
    const copy = await saved(first, root);
    const original = await opened(root, first.password);
    const ahead = await log.at(original, { tables: ['t', 'later'] });
    await ahead.insert(2);
    await ahead.leave();
    await original.stop();
    const restored = await opened(copy, first.password);
    const writer = await connected(restored.uri());
    await writer.query('insert into later values (1)');
    await writer.end();
    await write(restored, [3]);
    const after = await log.at(restored, { tables: ['t', 'later'] });
    await after.insert(4);
    await until('both gaps', () => log.gaps().length === 2);
    expect(log.gaps()).toEqual([
      expect.objectContaining({ type: 'gap.rewound', missed: false }),
      expect.objectContaining({ type: 'gap', scope: 'table', problem: 'Interrupted' }),
    ]);
    expect(log.ids()).toEqual([1, 2, 3, 4]);
    await after.leave();
  });

  it('says that another server is behind the address, and again when the first one is back', async () => {
    const one = await server();
    const two = await server();
    const log = watched();
    const connection = 'shop/db';
    const at = await log.at(one, { connection });
    await at.insert(1);
    await at.leave();
    const other = await log.at(two, { connection });
    await other.insert(2);
    await other.leave();
    await write(one, [3]);
    const back = await log.at(one, { connection });
    await back.insert(4);
    await back.leave();
    const [system] = log.writer.sources().map((state) => state.source);
    expect(log.gaps()).toEqual([
      expect.objectContaining({ type: 'gap', reason: 'OtherSystem', previous: system, missed: true }),
      expect.objectContaining({ type: 'gap', reason: 'OtherSystem', missed: false }),
    ]);
    expect(log.ids()).toEqual([1, 2, 3, 4]);
    const still = await log.at(one, { connection });
    await still.insert(5);
    await still.leave();
    expect(log.gaps().length).toBe(2);
  });

  it('says that another database of the server is behind the address', async () => {
    const one = await server();
    const client = await connected(one.uri());
    await client.query('create database other template postgres');
    await client.end();
    const log = watched();
    const at = await log.at(one, { connection: 'shop/db' });
    await at.insert(1);
    await at.leave();
    const other = await log.at(one, { connection: 'shop/db', database: 'other' });
    await other.insert(2);
    await other.leave();
    expect(log.gaps()).toEqual([expect.objectContaining({ reason: 'OtherDatabase', missed: true })]);
  });

  it('replaces a slot of its name that is of another plugin', async () => {
    const one = await server();
    const log = watched();
    const at = await log.at(one);
    await at.insert(1);
    const name = at.database.audit.captureName(log.writer.origin);
    await at.leave();
    const client = await connected(one.uri());
    await until('the slot is free', async () => (await client.query('select from pg_replication_slots where active')).rowCount === 0);
    await client.query('select pg_drop_replication_slot($1)', [name]);
    await client.query(`select pg_create_logical_replication_slot($1, 'test_decoding')`, [name]);
    await client.end();
    const again = await log.at(one);
    await again.insert(2);
    await again.leave();
    expect(log.gaps()).toEqual([expect.objectContaining({ reason: 'SlotForeign', missed: true })]);
  });

  it('seals a gap when the server threw away WAL that was not read', async () => {
    const one = await server(['max_slot_wal_keep_size = 1MB', 'min_wal_size = 32MB', 'max_wal_size = 32MB']);
    const log = watched();
    const at = await log.at(one);
    await at.insert(1);
    await at.leave();
    const client = await connected(one.uri());
    await until('the slot is free', async () => (await client.query('select from pg_replication_slots where active')).rowCount === 0);
    await client.query('insert into t values (2)');
    for (let round = 0; round < 4; round++) await client.query('select pg_switch_wal(), pg_logical_emit_message(true, $1, repeat($2, 1000))', ['x', 'y']);
    await client.query('checkpoint');
    await until('the slot is lost', async () => (await client.query(`select from pg_replication_slots where wal_status = 'lost'`)).rowCount === 1);
    await client.end();
    const again = await log.at(one);
    await again.insert(3);
    await again.leave();
    expect(log.gaps()).toEqual([expect.objectContaining({ reason: 'SlotUnusable', slot: major >= 17 ? 'wal_removed' : 'lost', missed: true })]);
    expect(log.ids()).toEqual([1, 3]);
    expect(await restarted(log, one)).toBe(1);
  });

  it.runIf(major >= 18)('seals a gap when the slot was idle for too long', async () => {
    const one = await server(['idle_replication_slot_timeout = 1s']);
    const log = watched();
    const at = await log.at(one);
    await at.insert(1);
    await at.leave();
    const client = await connected(one.uri());
    await until('the slot is invalidated', async () => {
      await client.query('checkpoint');
      return (await client.query(`select from pg_replication_slots where invalidation_reason = 'idle_timeout'`)).rowCount === 1;
    });
    await client.end();
    const again = await log.at(one);
    await again.insert(2);
    await again.leave();
    expect(log.gaps()).toEqual([expect.objectContaining({ reason: 'SlotUnusable', slot: 'idle_timeout' })]);
  });
});

// A server that went back: the log still gives its tables, from a baseline that both histories have, or from a new one.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { withBaseline } from '../parts/baselined.ts';
import { type CapturedEntry, createMemoryWriter, type MemoryWriter } from '../parts/memory-writer.ts';
import { freePort, installationOf, type Postgres, startOnData, startPostgres } from '../parts/postgres.ts';
import { replayedTable, rowText } from '../parts/replayed-table.ts';
import { copyData, startStandby } from '../parts/standby.ts';

const schema = `create table t (id int primary key, v text); insert into t select n, 'v' || n from generate_series(1, 20) n`;

describe.each([15, 18] as const)('a rewound PostgreSQL %s', { timeout: 60_000 }, (major) => {
  const installation = installationOf(major);
  const { signal } = new AbortController();
  const ends: (() => Promise<unknown> | void)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  const kept = <T extends Postgres>(server: T): T => {
    ends.push(() => server.stop());
    return server;
  };
  const query = async (server: Postgres, text: string): Promise<pg.QueryResult> => {
    const client = await connected(server.uri());
    const result = await client.query(text);
    await client.end();
    return result;
  };

  it('is read on from a slot that went back with it', async () => {
    const writer = createMemoryWriter();
    const root = mkdtempSync(join(tmpdir(), 'rowseal-origin-'));
    const copy = mkdtempSync(join(tmpdir(), 'rowseal-copy-'));
    ends.push(() => rmSync(root, { recursive: true, force: true }), () => rmSync(copy, { recursive: true, force: true }));
    const first = kept(await startPostgres({ installation, dataFolder: root }));
    await query(first, schema);
    const before = await capture(writer, first);
    await change(before, `update t set v = 'both' where id = 1`);
    // So that the slot of the copy stands at a marker that the log has.
    await until('a marker is confirmed', async () => (await query(first, `select from pg_replication_slots where confirmed_flush_lsn > '${baseOf(writer)}'`)).rowCount === 1);
    await before.leave();
    await first.stop();
    copyData(join(root, 'data'), copy);
    const original = kept(await startOnData({ installation, root, password: first.password, port: await freePort(), keep: true }));
    const ahead = await capture(writer, original);
    await change(ahead, `update t set v = 'undone' where id < 5; insert into t values (100, 'undone'); delete from t where id = 7`);
    await ahead.leave();
    await original.stop();
    const restored = kept(await startOnData({ installation, root: copy, password: first.password, port: await freePort(), keep: true }));
    await query(restored, `update t set v = 'other' where id between 3 and 6; insert into t values (200, 'other')`);
    const after = await capture(writer, restored);
    await change(after, `delete from t where id = 9`);
    expect(gapsOf(writer)).toEqual([expect.objectContaining({ type: 'gap.rewound', missed: false })]);
    await after.same();
    expect(writer.entries().filter((entry) => entry.type === 'baseline')).toHaveLength(20);
    await after.leave();
  });

  it('is compared, where it lost what was sealed and its slot with it', async () => {
    const writer = createMemoryWriter();
    const primary = kept(await startPostgres({ installation }));
    await query(primary, `${schema}; select pg_create_physical_replication_slot('standby', true)`);
    const standby = kept(await startStandby({ primary, installation, slot: 'standby' }));
    const before = await capture(writer, primary);
    await change(before, `update t set v = 'both' where id = 1`);
    const { rows: at } = await query(primary, 'select pg_current_wal_flush_lsn()::text as at');
    await until('the standby has it', async () => (await query(standby, `select pg_last_wal_replay_lsn() >= '${String(at[0]?.at)}' as done`)).rows[0]?.done === true);
    const { rows } = await query(primary, `select pid from pg_stat_replication where application_name = 'standby'`);
    process.kill(Number(rows[0]?.pid), 'SIGSTOP');
    await change(before, `update t set v = 'undone' where id < 5; insert into t values (100, 'undone'); delete from t where id = 7`);
    await before.leave();
    process.kill(Number(rows[0]?.pid), 'SIGKILL');
    await primary.stop();
    await standby.promote();
    await query(standby, `update t set v = 'unseen' where id between 3 and 6; insert into t values (200, 'unseen')`);
    const after = await capture(writer, standby);
    await change(after, `delete from t where id = 9`);
    expect(gapsOf(writer)).toEqual([expect.objectContaining({ type: 'gap.rewound', missed: true, reconcilable: true })]);
    const found = writer.entries().filter((entry) => entry.type === 'gap.reconciled' && entry['change'] !== undefined).map((entry) => Number((entry['object'] as { key: { id: string } }).key.id));
    expect(found.sort((a, b) => a - b)).toEqual([3, 4, 5, 6, 200]);
    await after.same();
    await after.leave();
  });

  interface Place {
    readonly admin: pg.Client;
    readonly run: RunningAudit;
    readonly writer: MemoryWriter;
    same(): Promise<void>;
    leave(): Promise<void>;
  }
  let turns = 1_000;

  async function capture(writer: MemoryWriter, server: Postgres): Promise<Place> {
    const admin = await connected(server.uri());
    const database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    const run = await database.start(writer, withBaseline(['t']));
    await until('the baseline is whole', async () => (await run.status(signal)).baseline?.complete === 1);
    return {
      admin,
      run,
      writer,
      same: async () => {
        const { rows } = await admin.query<{ id: number; v: string }>('select * from t');
        expect(replayedTable(writer.entries(), 't')).toEqual(rows.map(({ id, v }) => rowText({ id: String(id), v })).sort());
      },
      leave: async () => {
        await run.stop();
        await database.close();
        await admin.end();
      },
    };
  }

  /** Runs statements, and waits until what they did is sealed. */
  async function change({ admin, writer }: Place, statements: string): Promise<void> {
    const id = (turns += 1);
    await admin.query(statements);
    await admin.query('insert into t values ($1)', [id]);
    await until('it is sealed', () => writer.entries().some((entry) => entry.type === 'row.insert' && JSON.stringify(entry['object']).includes(`"id":"${id}"`)));
  }
});

function baseOf(writer: MemoryWriter): string {
  const [first] = writer.entries().filter((entry) => entry.type === 'baseline');
  return (first?.['source'] as { lsn: string } | undefined)?.lsn ?? '0/0';
}

function gapsOf(writer: MemoryWriter): readonly Record<string, unknown>[] {
  const gaps = writer.entries().filter((entry: CapturedEntry) => entry.type === 'gap' || entry.type === 'gap.rewound');
  return gaps.map((entry) => ({ type: entry.type, ...(entry['gap'] as object) }));
}

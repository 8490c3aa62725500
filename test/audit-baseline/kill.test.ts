// The whole operator, killed at random while it reads a baseline and while it reconciles a gap: its log still gives the table, row for row.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CapturedEntry } from '../parts/memory-writer.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { replayedTable, rowText } from '../parts/replayed-table.ts';
import { createShop, shop, withClient } from '../parts/shop.ts';
import { createWorkspace, eventually, rowseal, type RunningRowseal, startRowseal, type Workspace } from '../parts/standalone.ts';

const kills = Number(process.env['ROWSEAL_KILLS'] ?? 6);
const seed = Number(process.env['ROWSEAL_SEED'] ?? Date.now() % 1_000_000);
const rows = 8_000;
let postgres: Postgres;
let workspace: Workspace;
let running: RunningRowseal | undefined;

beforeAll(async () => {
  postgres = await startPostgres();
  await createShop(postgres);
  await withClient(postgres.uri(), (client) => client.query("insert into orders select n, 'acme', repeat('x', n % 300), n from generate_series(10, $1::int) n", [rows]));
  workspace = createWorkspace();
  workspace.declare('shop.yaml', [shop.secret(postgres), shop.connection(), shop.log({ filesystem: { path: workspace.log } }), shop.audit({ baseline: 'Snapshot' })]);
});

afterAll(async () => {
  await running?.kill();
  await postgres?.stop();
  workspace?.remove();
});

test(`after ${kills} kills, and a slot dropped between them, the log gives the table (seed ${seed})`, { timeout: 300_000 }, async () => {
  const random = randomFrom(seed);
  const ending = new AbortController();
  const writers = [1, 2].map((worker) => keepWriting(worker, ending.signal));
  const baseline = () => workspace.status('AuditPolicy', 'orders')?.status['baseline'] as { tables: number; complete: number } | undefined;
  const whole = () => eventually('the baseline is whole', () => expect(baseline()).toMatchObject({ tables: 1, complete: 1 }), 60_000);
  const killAround = async (times: number): Promise<void> => {
    for (let kill = 0; kill < times; kill += 1) {
      running = startRowseal(['run', '--manifests', workspace.manifests]);
      await sleep(800 + random() * 1_500);
      await running.kill();
    }
  };

  await killAround(Math.ceil(kills / 2));
  running = startRowseal(['run', '--manifests', workspace.manifests]);
  await workspace.ready('AuditPolicy', 'orders');
  await whole();
  await running.kill();
  await eventually('the slot is dropped', () => withClient(postgres.uri(), (client) => client.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots')));
  await sleep(200);
  await killAround(Math.floor(kills / 2));
  running = startRowseal(['run', '--manifests', workspace.manifests]);
  await eventually('the gap is known', async () => expect((await logged()).some((entry) => entry.type === 'gap')).toBe(true), 60_000);
  await eventually('the gap is reconciled', async () => expect((await logged()).some((entry) => (entry['gap'] as { reconciled?: boolean } | undefined)?.reconciled === true)).toBe(true), 60_000);
  ending.abort();
  await Promise.all(writers);
  await whole();
  await withClient(postgres.uri(), (client) => client.query(`insert into orders values (-1, 'end', '', 0)`));
  await eventually('the last change is sealed', async () => expect((await logged()).some((entry) => JSON.stringify(entry['object'] ?? {}).includes('"id":"-1"'))).toBe(true), 60_000);
  expect(await running.stop()).toBe(0);

  const { rows: found } = await withClient(postgres.uri(), (client) => client.query<{ id: string; tenant_id: string; item: string; amount: number }>('select * from orders'));
  const wanted = found.map((row) => rowText({ ...row, amount: String(row.amount) })).sort();
  const entries = await logged();
  expect(replayedTable(entries, 'orders')).toEqual(wanted);
  expect(entries.filter((entry) => entry.type.startsWith('gap.reconciled') && entry['change'] !== undefined).length).toBeGreaterThan(0);
  const key = String(workspace.status('AuditLog', 'shop')?.status['verifierKey']);
  const verdict = await rowseal(['verify', workspace.log, '--key', key, '-o', 'json']);
  expect(verdict.status, verdict.stdout + verdict.stderr).toBe(0);
});

async function logged(): Promise<readonly CapturedEntry[]> {
  const { stdout } = await rowseal(['log', workspace.log, '-o', 'jsonl']);
  return stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as CapturedEntry);
}

async function keepWriting(worker: number, signal: AbortSignal): Promise<void> {
  await withClient(postgres.uri(), async (client) => {
    for (let turn = 1; !signal.aborted; turn += 1) {
      const id = 10 + ((worker * 3_001 + turn * 7) % rows);
      await client.query('update orders set amount = $2 where id = $1', [id, turn]);
      await client.query('delete from orders where id = $1', [10 + ((id * 3) % rows)]);
      await client.query(`insert into orders values ($1, 'acme', 'new', $2) on conflict (id) do update set amount = excluded.amount`, [10 + ((id * 5) % rows), turn]);
      await sleep(10);
    }
  });
}

/** A repeatable sequence of numbers in [0, 1). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

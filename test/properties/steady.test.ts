// Steady state: an operator with nothing to do writes nothing, neither into the database nor into its objects' status.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { createShop, shop } from '../parts/shop.ts';
import { createWorkspace, eventually, type RunningRowseal, startRowseal, type Workspace } from '../parts/standalone.ts';

/** Two polls at least. */
const seconds = Number(process.env['ROWSEAL_STEADY_SECONDS'] ?? 22);
let postgres: Postgres;
let admin: pg.Client;
let workspace: Workspace;
let running: RunningRowseal;

beforeAll(async () => {
  // Without autovacuum and checkpoints nobody else has anything to write.
  postgres = await startPostgres({ settings: ['autovacuum = off', 'checkpoint_timeout = 1d', `shared_preload_libraries = 'pg_stat_statements'`, `pg_stat_statements.track = all`] });
  await createShop(postgres);
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  await admin.query('create extension pg_stat_statements; create table bills (id int, tenant_id text)');
  workspace = createWorkspace();
  const tests = [{ name: 'one row', as: { role: 'app', claims: { tenant_id: 'acme' } }, expect: { table: 'orders', count: 1 } }];
  const selected = { ...shop.policy({ target: { schema: 'public', selector: { namePattern: 'b*', hasColumns: ['tenant_id'] } }, deletionPolicy: 'FailClosed' }), metadata: { name: 'bills' } };
  workspace.declare('shop.yaml', [shop.secret(postgres), shop.connection(), shop.policy({ tests }), selected]);
  running = startRowseal(['run', '--manifests', workspace.manifests]);
  for (const name of ['orders', 'bills']) await workspace.ready('RowPolicy', name);
});
afterAll(async () => {
  await running?.stop();
  await admin?.end();
  await postgres?.stop();
  workspace?.remove();
});

async function position(): Promise<unknown> {
  const { rows } = await admin.query(`select pg_current_wal_insert_lsn()::text as lsn, pg_snapshot_xmax(pg_current_snapshot())::text as next_xid`);
  return rows[0];
}

/** When each file of the state folder was written last. */
function files(folder = join(workspace.manifests, '.rowseal')): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => `${file} ${statSync(file).mtimeMs}`)
    .sort();
}

async function changesWithin(ms: number): Promise<boolean> {
  const before = JSON.stringify(await position());
  await sleep(ms);
  return JSON.stringify(await position()) !== before;
}

it(`nothing is written in ${seconds} seconds`, { timeout: (seconds + 120) * 1_000 }, async () => {
  // Lints and their witnesses, which write and roll back, run once after the first apply, whenever there is time.
  await eventually('the first look is done', async () => expect(await changesWithin(11_000)).toBe(false), 90_000);
  await admin.query('select pg_stat_statements_reset()');
  const before = [await position(), files()];
  await sleep(seconds * 1_000);
  const { rows: statements } = await admin.query(`select query, rows from pg_stat_statements where query ~* '^\\s*(insert|update|delete|create|alter|drop|grant|revoke|comment|select pg_catalog.pg_logical_emit)' or wal_records > 0`);
  expect(statements).toEqual([]);
  expect([await position(), files()]).toEqual(before);
  const { rows: looks } = await admin.query(`select coalesce(sum(calls), 0)::int as n from pg_stat_statements where query ~ 'pg_catalog.pg_policy'`);
  expect(looks[0]?.n).toBeGreaterThan(0);
});

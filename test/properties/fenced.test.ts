// The fence, as processes: an operator that was paused and one of another cluster write nothing, and say why.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { createShop, shop } from '../parts/shop.ts';
import { createWorkspace, eventually, type RunningRowseal, startRowseal, type Workspace } from '../parts/standalone.ts';

let postgres: Postgres;
let admin: pg.Client;
let workspaces: Workspace[];
let processes: RunningRowseal[];

beforeEach(async () => {
  postgres = await startPostgres();
  await createShop(postgres);
  admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  [workspaces, processes] = [[], []];
});
afterEach(async () => {
  for (const process of processes) await process.kill();
  await admin.end();
  await postgres.stop();
  for (const workspace of workspaces) workspace.remove();
});

function declare(value: string): Workspace {
  const workspace = createWorkspace();
  workspaces.push(workspace);
  const rules = [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'In', values: [value] }] } }];
  workspace.declare('shop.yaml', [shop.secret(postgres), shop.connection(), shop.policy({ rules, approval: 'Automatic' })]);
  return workspace;
}

function run(workspace: Workspace, state = workspace.manifests): RunningRowseal {
  const process = startRowseal(['run', '--manifests', workspace.manifests, '--state', join(state, '.rowseal')]);
  processes.push(process);
  return process;
}

const catalog = async () => (await admin.query<{ qual: string }>(`select qual, (select relrowsecurity from pg_class where relname = 'orders') as on from pg_policies where tablename = 'orders'`)).rows;
const written = async () => (await admin.query(`select sum(n_tup_ins + n_tup_upd + n_tup_del) as n from pg_stat_all_tables where schemaname in ('rowseal', 'pg_catalog') and relname in ('governed_policy', 'governed_table', 'pg_policy')`)).rows;

it('another cluster writes nothing, even once the database is free, and says whose it is', async () => {
  const [ours, theirs] = [declare('acme'), declare('globex')];
  const first = run(ours);
  await ours.ready('RowPolicy', 'orders');
  expect(await first.stop()).toBe(0);
  const before = await catalog();
  run(theirs);
  const { message } = await theirs.ready('DatabaseConnection', 'shop', 'False', 'OwnedByAnother');
  expect(message).toContain(readFileSync(join(ours.manifests, '.rowseal', 'cluster-uid'), 'utf8').trim());
  await theirs.ready('RowPolicy', 'orders', 'False');
  expect(await catalog()).toEqual(before);
});

it('an operator that was paused while another one took over writes nothing of its own when it goes on', { timeout: 120_000 }, async () => {
  const [stale, fresh] = [declare('acme'), declare('globex')];
  const paused = run(stale);
  await stale.ready('RowPolicy', 'orders');
  paused.child.kill('SIGSTOP');
  await admin.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name like 'rowseal%' and pid <> pg_backend_pid()`);
  // The same cluster: it takes the state folder along, as a new leader takes the API server's objects.
  run(fresh, stale.manifests);
  await eventually('the new one has applied', async () => expect((await catalog())[0]?.qual).toContain('globex'), 60_000);
  const [before, writes] = [await catalog(), await written()];
  paused.child.kill('SIGCONT');
  await eventually('the old one says that it may not', () => expect(paused.messages()).toMatch(/AnotherOperator|Fenced/), 40_000);
  expect([await catalog(), await written()]).toEqual([before, writes]);
});

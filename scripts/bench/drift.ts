// How long a change that somebody makes to governed policies stands before it is mended, where event triggers tell of it: p50 and p99.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres } from '../../test/parts/postgres.ts';
import { createShop, shop } from '../../test/parts/shop.ts';
import { createWorkspace, startRowseal } from '../../test/parts/standalone.ts';
import { type Measured, percentile, print } from './report.ts';

const drifts = Number(process.env['DRIFTS'] ?? 120);
const limitMs = 2_000;
const policy = 'rowseal_default_orders_tenant';
const changes = [
  `drop policy ${policy} on orders`,
  `alter policy ${policy} on orders using (true)`,
  `alter policy ${policy} on orders to public`,
  'alter table orders disable row level security',
  'alter table orders no force row level security',
] as const;

async function measureDrift(): Promise<readonly Measured[]> {
  const postgres = await startPostgres();
  const workspace = createWorkspace();
  await createShop(postgres);
  workspace.declare('shop.yaml', [shop.secret(postgres), shop.connection(), shop.policy()]);
  const running = startRowseal(['run', '--manifests', workspace.manifests]);
  const admin = new pg.Client({ connectionString: postgres.uri() });
  await admin.connect();
  try {
    await workspace.ready('RowPolicy', 'orders');
    const declared = await stateOf(admin);
    const latencies: number[] = [];
    for (let drift = 0; drift < drifts; drift += 1) latencies.push(await mended(admin, declared, changes[drift % changes.length] ?? ''));
    return [50, 99, 100].map((percent) => ({ what: `from the commit of a drift to that of its repair, ${percent === 100 ? 'the slowest' : `p${percent}`} of ${drifts}`, valueMs: percentile(latencies, percent), limitMs }));
  } finally {
    await admin.end();
    await running.stop();
    await postgres.stop();
    workspace.remove();
  }
}

async function mended(admin: pg.Client, declared: string, change: string): Promise<number> {
  // Not in step with any poll.
  await sleep(50 + Math.random() * 200);
  await admin.query(change);
  const started = performance.now();
  while ((await stateOf(admin)) !== declared) await sleep(2);
  return performance.now() - started;
}

async function stateOf(admin: pg.Client): Promise<string> {
  const { rows } = await admin.query(`select relrowsecurity, relforcerowsecurity, (select json_agg(p order by policyname) from pg_policies p where tablename = 'orders') as policies from pg_class where relname = 'orders'`);
  return JSON.stringify(rows);
}

print(await measureDrift(), process.argv.includes('--json'));

// SIGTERM ends the operator whatever it has begun: a kubelet waits half a minute, then kills.
import { expect, test } from 'vitest';
import { startPostgres } from '../parts/postgres.ts';
import { createShop, shop } from '../parts/shop.ts';
import { createWorkspace, eventually, rowseal, startRowseal } from '../parts/standalone.ts';

test('an operator that has just made its slot ends when it is asked to', { timeout: 120_000 }, async () => {
  const postgres = await startPostgres();
  const workspace = createWorkspace();
  try {
    await createShop(postgres);
    workspace.declare('shop.yaml', [shop.secret(postgres), shop.connection(), shop.log({ filesystem: { path: workspace.log } }), shop.audit()]);
    const running = startRowseal(['run', '--manifests', workspace.manifests]);
    await workspace.ready('AuditPolicy', 'orders');
    expect(await running.stop()).toBe(0);
  } finally {
    await postgres.stop();
    workspace.remove();
  }
});

test('a policy that is deleted ends its audit in the log, once', { timeout: 120_000 }, async () => {
  const postgres = await startPostgres();
  const workspace = createWorkspace();
  const ends = async (): Promise<number> => (await rowseal(['log', workspace.log, '-o', 'jsonl'])).stdout.split('"type":"audit.stop"').length - 1;
  try {
    await createShop(postgres);
    workspace.declare('shop.yaml', [shop.secret(postgres), shop.connection(), shop.log({ filesystem: { path: workspace.log } })]);
    workspace.declare('audit.yaml', [shop.audit()]);
    const running = startRowseal(['run', '--manifests', workspace.manifests]);
    await workspace.ready('AuditPolicy', 'orders');
    workspace.declare('audit.yaml', []);
    await eventually('the end is sealed', async () => ((await ends()) > 0 ? true : Promise.reject(new Error(running.messages()))));
    expect(await running.stop()).toBe(0);
    expect(await ends()).toBe(1);
  } finally {
    await postgres.stop();
    workspace.remove();
  }
});

// SIGTERM ends the operator whatever it has begun: a kubelet waits half a minute, then kills.
import { expect, test } from 'vitest';
import { startPostgres } from '../parts/postgres.ts';
import { createShop, shop } from '../parts/shop.ts';
import { createWorkspace, startRowseal } from '../parts/standalone.ts';

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

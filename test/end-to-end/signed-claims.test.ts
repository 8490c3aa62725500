// Signed claims the whole way: a folder of manifests, a token from the command line, a rotation by editing the Secret, and no token in the log.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { appPassword, createShop, shop } from '../parts/shop.ts';
import { createWorkspace, eventually, type RunningRowseal, rowseal, startRowseal, type Workspace } from '../parts/standalone.ts';

const keys: Readonly<Record<string, string>> = { old: randomBytes(32).toString('base64'), new: randomBytes(32).toString('base64') };
let postgres: Postgres;
let workspace: Workspace;
let running: RunningRowseal;
let app: pg.Client;

beforeAll(async () => {
  postgres = await startPostgres();
  await createShop(postgres);
  workspace = createWorkspace();
  for (const [id, value] of Object.entries(keys)) writeFileSync(join(workspace.folder, id), value);
  declareKeys('old');
  workspace.declare('secret.yaml', [shop.secret(postgres)]);
  const connection = shop.connection() as { spec: object };
  const signed = { ...connection, spec: { ...connection.spec, claims: { type: 'Signed', signed: { keySecretRef: { name: 'claims' } } } } };
  workspace.declare('shop.yaml', [signed, shop.policy(), shop.log({ filesystem: { path: workspace.log } }), shop.audit()]);
  running = startRowseal(['run', '--manifests', workspace.manifests]);
  await workspace.ready('RowPolicy', 'orders');
  await workspace.ready('AuditPolicy', 'orders');
  app = new pg.Client({ connectionString: postgres.uri('postgres', 'app', appPassword) });
  await app.connect();
});
afterAll(async () => {
  await app?.end();
  await running?.stop();
  await postgres?.stop();
  workspace?.remove();
});

function declareKeys(...ids: readonly string[]): void {
  workspace.declare('claims.yaml', [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'claims' }, stringData: Object.fromEntries(ids.map((id) => [id, keys[id]])) }]);
}

/** In a transaction of its own, under a token that the command line made with this key. */
async function acting(keyId: string, action: () => Promise<unknown> = async () => undefined): Promise<{ ids: readonly string[]; reason: string }> {
  await app.query('begin');
  try {
    const { challenge } = (await app.query('select rowseal.challenge() as challenge')).rows[0] as { challenge: string };
    const { stdout, stderr } = await rowseal(['claims', 'sign', '--key-file', join(workspace.folder, keyId), '--challenge', challenge, '--claims', '{"tenant_id":"acme"}']);
    expect(stderr).toBe('');
    await app.query(`select set_config('rowseal.token', $1, true)`, [stdout.trim()]);
    await action();
    const { reason } = (await app.query('select reason from rowseal.explain_claims()')).rows[0] as { reason: string };
    return { ids: (await app.query('select id::text from orders order by id')).rows.map((row) => row.id as string), reason };
  } finally {
    await app.query('commit');
  }
}

test('a tenant acts under a token, writes, and the log keeps the change but no token', async () => {
  expect(await acting('old', () => app.query(`update orders set item = 'signed'`))).toEqual({ ids: ['1'], reason: 'Accepted' });
  expect((await app.query('select * from orders')).rows).toEqual([]);
  await eventually('the change is logged', async () => {
    const { stdout } = await rowseal(['log', workspace.log, '-o', 'jsonl']);
    const update = stdout.split('\n').find((line) => line.includes('"row.update"'));
    expect(update).toBeDefined();
    expect(JSON.parse(update ?? '')).toMatchObject({ actor: { user: 'app', claimsVerified: true }, change: { after: { item: 'signed' } } });
    expect(stdout).not.toContain('rs1.');
  });
});

test('two keys are alive while both are in the Secret, and one that was taken out is refused', async () => {
  declareKeys('old', 'new');
  await eventually('the new key is believed', async () => expect((await acting('new')).reason).toBe('Accepted'));
  expect((await acting('old')).reason).toBe('Accepted');
  declareKeys('new');
  await eventually('the old key is refused', async () => expect(await acting('old')).toEqual({ ids: [], reason: 'UnknownKey' }));
  expect((await acting('new')).ids).toEqual(['1']);
  for (const key of Object.values(keys)) expect(running.messages()).not.toContain(key.slice(0, 20));
});

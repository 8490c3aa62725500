// Exactly once: `rowseal run` is killed again and again while writers keep an oracle of what they committed.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { appPassword, createShop, shop, withClient } from '../parts/shop.ts';
import { createWorkspace, eventually, rowseal, startRowseal, type Workspace } from '../parts/standalone.ts';

const kills = Number(process.env['ROWSEAL_KILLS'] ?? 25);
const seed = Number(process.env['ROWSEAL_SEED'] ?? Date.now() % 1_000_000);
let postgres: Postgres;
let workspace: Workspace;

beforeAll(async () => {
  postgres = await startPostgres();
  await createShop(postgres);
  await withClient(postgres.uri(), (client) =>
    client.query(`
      create sequence oracle_order;
      create table oracle (n bigint generated always as identity, id bigint, amount integer, op text);
      grant insert on oracle to app;`),
  );
  workspace = createWorkspace();
  workspace.declare('shop.yaml', [shop.secret(postgres), shop.connection(), shop.log({ filesystem: { path: workspace.log } }), shop.audit()]);
});

afterAll(async () => {
  await postgres?.stop();
  workspace?.remove();
});

/** A repeatable sequence of numbers in [0, 1). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Each transaction changes some rows and says in the oracle, in the same transaction, what it did. */
async function write(worker: number, random: () => number, signal: AbortSignal): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.uri('postgres', 'app', appPassword) });
  await client.connect();
  for (let id = worker * 1_000_000 + 100; !signal.aborted; id += 1) {
    const abort = random() < 0.1;
    await client.query('begin');
    await client.query("insert into orders values ($1, 'acme', 'thing', 0)", [id]);
    await client.query("insert into oracle (id, amount, op) values ($1, 0, 'row.insert')", [id]);
    for (let amount = 1; amount <= Math.floor(random() * 4); amount += 1) {
      await client.query('update orders set amount = $2 where id = $1', [id, amount]);
      await client.query("insert into oracle (id, amount, op) values ($1, $2, 'row.update')", [id, amount]);
    }
    await client.query(abort ? 'rollback' : 'commit');
    await sleep(random() * 8);
  }
  await client.end();
}

test(`after ${kills} kills the log holds each change once, in the order of each row (seed ${seed})`, { timeout: 600_000 }, async () => {
  const random = randomFrom(seed);
  const first = startRowseal(['run', '--manifests', workspace.manifests]);
  await workspace.ready('AuditPolicy', 'orders');
  const stop = new AbortController();
  const writers = [1, 2].map((worker) => write(worker, randomFrom(seed + worker), stop.signal));

  let running = first;
  for (let kill = 0; kill < kills; kill += 1) {
    await sleep(300 + random() * 1500);
    await running.kill();
    running = startRowseal(['run', '--manifests', workspace.manifests]);
  }
  stop.abort();
  await Promise.all(writers);

  const { rows } = await withClient(postgres.uri(), (client) => client.query<{ id: string; amount: number; op: string }>('select id, amount, op from oracle order by id, n'));
  const expected = rows.map(({ id, amount, op }) => `${id} ${op} ${amount}`);
  await eventually('everything is sealed', async () => expect((await loggedChanges()).length).toBeGreaterThanOrEqual(expected.length), 60_000).catch((error: unknown) => {
    const status = ['AuditPolicy', 'AuditLog'].map((kind) => JSON.stringify(workspace.status(kind, kind === 'AuditLog' ? 'shop' : 'orders')?.status));
    throw new Error(`${String(error)}\n${status.join('\n')}\n${running.messages().slice(-3000)}`);
  });
  expect(await running.stop()).toBe(0);

  const logged = await loggedChanges();
  expect([...logged].sort((a, b) => Number(a.split(' ')[0]) - Number(b.split(' ')[0]))).toEqual(expected);
  const key = String(workspace.status('AuditLog', 'shop')?.status['verifierKey']);
  const verdict = await rowseal(['verify', workspace.log, '--key', key, '-o', 'json']);
  expect(verdict.status, verdict.stdout + verdict.stderr).toBe(0);
  expect(await entryTypes()).not.toContain('gap');
});

interface Logged {
  readonly type: string;
  readonly object?: { readonly table?: string };
  readonly change?: { readonly after?: Record<string, string> };
}

async function logged(): Promise<Logged[]> {
  const { stdout } = await rowseal(['log', workspace.log, '-o', 'jsonl']);
  return stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Logged);
}

async function loggedChanges(): Promise<string[]> {
  return (await logged())
    .filter((entry) => entry.type.startsWith('row.') && entry.object?.table === 'orders')
    .map((entry) => `${entry.change?.after?.['id']} ${entry.type} ${entry.change?.after?.['amount']}`);
}

async function entryTypes(): Promise<string[]> {
  return (await logged()).map((entry) => entry.type);
}

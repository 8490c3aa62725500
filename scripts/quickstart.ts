// make quickstart: two tenants on a real PostgreSQL, enforced rows, a sealed and verified log, and a forgery that is found.
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, chmodSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { parse, stringify } from 'yaml';
import { type Postgres, startPostgres } from '../test/parts/postgres.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, '.rowseal', 'quickstart');
const manifests = join(folder, 'manifests');
const state = join(folder, 'state');
const log = join(folder, 'log');
const keyFile = join(folder, 'verifier.key');
const keep = process.env['KEEP'] === '1';
const readyDeadlineMs = 60_000;
const appPassword = 'quickstart-app';

const parts: { postgres?: Postgres; operator?: ChildProcess } = {};
let stopping = false;

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (stopping) return;
    stopping = true;
    void stopAll().then(() => process.exit(name === 'SIGINT' && keep ? 0 : 130));
  });
}

try {
  await tour();
  if (keep) await playground();
  await stopAll();
} catch (error) {
  await stopAll();
  if (!stopping) process.stderr.write(`\nquickstart failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function tour(): Promise<void> {
  process.chdir(root);
  prepareFolder();

  heading(1, 'A shop database: PostgreSQL 18, one table, an application role, nothing protected');
  parts.postgres = await startPostgres();
  await withClient(parts.postgres.uri(), createShop);
  say('table orders has 3 rows of tenants acme and globex; role app may read and write all of them');
  await withClient(parts.postgres.uri('postgres', 'app', appPassword), async (client) => showRows(client, 'what app sees now, as acme', 'acme'));

  heading(2, 'Declared: four manifests, run by `rowseal run` (the same core as the operator in Kubernetes)');
  writeSecret(parts.postgres.uri());
  for (const file of readdirSync(manifests).sort()) say(relative(root, join(manifests, file)));
  parts.operator = startOperator();
  await everythingReady();
  say('Ready=True: DatabaseConnection, RowPolicy (its three tests passed first), AuditLog, AuditPolicy');

  heading(3, 'Enforced: two tenants work');
  await withClient(parts.postgres.uri('postgres', 'app', appPassword), tenantsWork);

  heading(4, 'Sealed: every change is in a write-once log, with who did it');
  await changesSealed();
  if (!keep) await stopOperator();
  await run('log', relative(root, log));

  heading(5, 'Proved: anybody with the one public key can check it, offline');
  writeFileSync(keyFile, `${auditLogStatus().verifierKey}\n`);
  await run('verify', relative(root, log), '--key', relative(root, keyFile));

  heading(6, 'Tampered: one byte of a copy is changed, and found');
  await tamperWithCopy();

  heading(7, 'Try next');
  say(`npm run -s rowseal -- verify ${relative(root, log)} --key ${relative(root, keyFile)}`);
  say(`npm run -s rowseal -- log ${relative(root, log)} -o jsonl | jq .`);
  say(`npm run -s rowseal -- prove ${relative(root, log)} --entry 3`);
  say('KEEP=1 make quickstart    keeps the database and the operator running');
  say('README.md and docs/ tell the rest');
}

function prepareFolder(): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(manifests, { recursive: true });
  const source = join(root, 'deploy', 'quickstart');
  for (const file of readdirSync(source)) copyFileSync(join(source, file), join(manifests, file));
}

async function createShop(client: pg.Client): Promise<void> {
  await client.query(`
    create table orders (id bigint primary key, tenant_id text not null, item text not null, amount integer not null);
    insert into orders values (1, 'acme', 'anvil', 2), (2, 'acme', 'rocket', 1), (3, 'globex', 'globe', 5);
    create role app login password '${appPassword}';
    grant usage on schema public to app;
    grant select, insert, update, delete on orders to app;`);
}

function writeSecret(uri: string): void {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shop-admin', namespace: 'shop' }, stringData: { uri } };
  writeFileSync(join(manifests, '0-secret.yaml'), stringify(secret), { mode: 0o600 });
}

function startOperator(): ChildProcess {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/cli/main.ts', 'run', '--manifests', manifests, '--state', state], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let messages = '';
  child.stderr?.on('data', (chunk: Buffer) => (messages = (messages + chunk.toString()).slice(-8000)));
  child.once('exit', (code) => {
    if (!stopping && parts.operator === child) process.stderr.write(`rowseal run ended with ${code}:\n${messages}\n`);
  });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

interface Status {
  readonly status?: { readonly conditions?: readonly { type: string; status: string; message: string }[] };
}

async function everythingReady(): Promise<void> {
  const wanted = ['DatabaseConnection.shop.shop', 'RowPolicy.shop.orders', 'AuditLog.shop.shop', 'AuditPolicy.shop.orders'];
  const deadline = Date.now() + readyDeadlineMs;
  for (;;) {
    const waiting = wanted.flatMap((name) => {
      const ready = readStatus(name)?.status?.conditions?.find((condition) => condition.type === 'Ready');
      return ready?.status === 'True' ? [] : [`${name}: ${ready?.message ?? 'no status yet'}`];
    });
    if (waiting.length === 0) return;
    if (Date.now() > deadline) throw new Error(`not ready after ${readyDeadlineMs / 1000} s:\n${waiting.join('\n')}`);
    if (parts.operator?.exitCode !== null && parts.operator?.exitCode !== undefined) throw new Error('rowseal run ended early');
    await sleep(100);
  }
}

function readStatus(name: string): Status | undefined {
  const file = join(state, 'status', `${name}.yaml`);
  return existsSync(file) ? (parse(readFileSync(file, 'utf8')) as Status) : undefined;
}

function auditLogStatus(): { verifierKey: string } {
  return (readStatus('AuditLog.shop.shop') as { status: { verifierKey: string } }).status;
}

async function tenantsWork(client: pg.Client): Promise<void> {
  await showRows(client, 'what acme sees', 'acme');
  await showRows(client, 'what globex sees', 'globex');
  await showRows(client, 'what a session without claims sees');
  await asTenant(client, 'acme', async () => {
    await client.query("insert into orders values (4, 'acme', 'magnet', 7)");
    await client.query('update orders set amount = 3 where id = 1');
  });
  say("acme orders a magnet, and changes its order 1: allowed");
  await asTenant(client, 'globex', () => client.query('delete from orders where id = 3'));
  say('globex deletes its order 3: allowed');
  const refused = await asTenant(client, 'globex', () => client.query("insert into orders values (5, 'acme', 'forged', 1)")).catch(
    (error: unknown) => error as Error,
  );
  if (!(refused instanceof Error)) throw new Error('a cross-tenant write was not refused');
  say(`globex writes an order for acme: refused (${refused.message})`);
  const { rowCount } = (await asTenant(client, 'globex', () => client.query('update orders set amount = 0 where id = 1'))) as pg.QueryResult;
  say(`globex changes acme's order 1: ${rowCount} rows changed, since it cannot see it`);
}

async function showRows(client: pg.Client, title: string, tenant?: string): Promise<void> {
  const query = () => client.query<{ id: string; tenant_id: string; item: string; amount: number }>('select * from orders order by id');
  const { rows } = tenant === undefined ? await query() : await asTenant(client, tenant, query);
  say(`${title}: ${rows.length === 0 ? 'nothing' : rows.map((row) => `#${row.id} ${row.tenant_id}/${row.item}×${row.amount}`).join('  ')}`);
}

async function asTenant<T>(client: pg.Client, tenant: string, action: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify({ sub: `user-of-${tenant}`, tenant_id: tenant })]);
    const result = await action();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** Three changes were committed; they are sealed when the log shows them. */
async function changesSealed(): Promise<void> {
  const deadline = Date.now() + readyDeadlineMs;
  for (;;) {
    const { output } = await rowseal(['log', log, '-o', 'jsonl']);
    const rows = output.split('\n').filter((line) => /"type":"row\./.test(line));
    if (rows.length >= 3) return;
    if (Date.now() > deadline) throw new Error(`only ${rows.length} of 3 changes were sealed`);
    await sleep(200);
  }
}

async function tamperWithCopy(): Promise<void> {
  const copy = join(folder, 'tampered');
  cpSync(log, copy, { recursive: true });
  const bundles = readdirSync(copy, { recursive: true, encoding: 'utf8' }).filter((name) => name.startsWith('tile/entries/') && /\/\d+$/.test(name));
  const victim = bundles.sort().at(-1);
  if (victim === undefined) throw new Error('the log has no bundle to tamper with');
  const file = join(copy, victim);
  const bytes = readFileSync(file);
  const at = bytes.lastIndexOf('magnet');
  bytes[at < 0 ? bytes.length - 2 : at] = 'M'.charCodeAt(0);
  chmodSync(file, 0o644);
  writeFileSync(file, bytes);
  say(`a byte of ${relative(root, file)} is changed`);
  const { status } = await run('verify', relative(root, copy), '--key', relative(root, keyFile));
  if (status !== 1) throw new Error(`verify should have ended with 1, not ${status}`);
  say('exit status 1: tampered');
}

async function playground(): Promise<void> {
  say();
  say(`the database and the operator keep running; end them with Ctrl-C`);
  say(`psql '${parts.postgres?.uri('postgres', 'app', appPassword)}'`);
  say(`begin; set local request.jwt.claims = '{"tenant_id":"acme"}'; select * from orders; commit;`);
  say(`edit ${relative(root, manifests)}/ and look at ${relative(root, state)}/status/`);
  await new Promise((resolve) => parts.operator?.once('exit', resolve));
}

/** Runs a verb, shows its output, and gives back how it ended. */
async function run(...args: string[]): Promise<{ status: number; output: string }> {
  process.stdout.write(`  $ rowseal ${args.join(' ')}\n`);
  const result = await rowseal(args);
  process.stdout.write(`${result.output.trimEnd().replace(/^/gm, '    ')}\n`);
  return result;
}

async function rowseal(args: readonly string[]): Promise<{ status: number; output: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/cli/main.ts', ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const status = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 3)));
  return { status, output };
}

async function stopOperator(): Promise<void> {
  const child = parts.operator;
  delete parts.operator;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(timer);
}

async function stopAll(): Promise<void> {
  await stopOperator();
  const postgres = parts.postgres;
  delete parts.postgres;
  await postgres?.stop();
}

async function withClient(uri: string, action: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: uri, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await action(client);
  } finally {
    await client.end();
  }
}

function heading(number: number, text: string): void {
  process.stdout.write(`\n${number}. ${text}\n`);
}

function say(text = ''): void {
  process.stdout.write(`  ${text}\n`);
}

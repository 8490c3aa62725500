// A process that seals into a folder is killed again and again: the log holds what it confirmed, once and in order.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import { checkLog, entryOf, sealedCount, writerOptions } from '../parts/log-workload.ts';
import { until } from '../parts/until.ts';

const { signal } = new AbortController();
const folder = mkdtempSync(join(tmpdir(), 'rowseal-kills-'));
const confirmedFile = join(folder, 'confirmed');
const child = fileURLToPath(new URL('../parts/log-child.ts', import.meta.url));
const kills = 15;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it(`survives ${kills} kills at random moments`, async () => {
  const path = join(folder, 'log');
  const seed = Date.now() % 100_000;
  writeFileSync(confirmedFile, '0');
  for (let kill = 0; kill < kills; kill += 1) {
    const before = confirmed();
    const running = start(path);
    await until(() => confirmed() > before, `progress after kill ${kill} (seed ${seed})`, 20_000);
    await sleep((seed * 31 + kill * 7_919) % 120);
    await ended(running);
  }
  const writer = await openLogWriter(writerOptions(await openFilesystemStore(path)));
  const sealed = sealedCount(writer);
  await writer.close(signal);
  expect(sealed, `seed ${seed}`).toBeGreaterThanOrEqual(confirmed());
  const checked = await checkLog(await openFilesystemStore(path));
  expect(checked.entries).toEqual(Array.from({ length: sealed }, (_, at) => entryOf(at)));
}, 120_000);

/** How many entries the child was told are committed. */
function confirmed(): number {
  return Number(readFileSync(confirmedFile, 'utf8').trim().split('\n').at(-1) ?? '0');
}

function start(path: string): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', child, path, confirmedFile], { stdio: ['ignore', 'inherit', 'inherit'] });
}

async function ended(running: ChildProcess): Promise<void> {
  if (running.exitCode !== null || running.signalCode !== null) throw new Error(`the child ended by itself with ${running.exitCode}`);
  const exit = new Promise<void>((resolve) => running.once('exit', () => resolve()));
  running.kill('SIGKILL');
  await exit;
}

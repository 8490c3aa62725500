// Debezium Embedded as a peer: built with Maven once, then run on a slot until it has written what is there.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Postgres } from '../../../test/parts/postgres.ts';
import { say } from './table.ts';

export interface DebeziumRun {
  readonly postgres: Postgres;
  readonly database: string;
  readonly slot: string;
  readonly publication: string;
  readonly changes: number;
}

export interface DebeziumPeer {
  readonly pid: number;
  /** When the file holds all changes and is fsynced. */
  readonly written: Promise<void>;
  end(): Promise<void>;
}

const project = fileURLToPath(new URL('debezium', import.meta.url));
const target = fileURLToPath(new URL('../../../.rowseal/bench/debezium', import.meta.url));
const writtenDeadlineMs = 600_000;
/** Enough for its queue; more only makes its memory look larger. */
const heap = '-Xmx1g';

/** Gives back why it can't be had; undefined when it is built. */
export function buildDebezium(): string | undefined {
  const jar = join(target, 'debezium-peer.jar');
  const sources = ['pom.xml', 'src/main/java/dev/rowseal/bench/DebeziumPeer.java'].map((file) => statSync(join(project, file)).mtimeMs);
  if (existsSync(jar) && sources.every((mtimeMs) => mtimeMs < statSync(jar).mtimeMs)) return undefined;
  say('building the Debezium peer with Maven');
  mkdirSync(target, { recursive: true });
  const built = spawnSync('mvn', ['-q', '-B', '-f', join(project, 'pom.xml'), `-Dpeer.directory=${target}`, 'package'], { encoding: 'utf8', timeout: 900_000 });
  if (built.error !== undefined) return `Maven and Java 17 are needed (${built.error.message})`;
  return built.status === 0 ? undefined : `Maven failed: ${built.stdout.slice(-1000)}`;
}

export async function runDebezium({ postgres, database, slot, publication, changes }: DebeziumRun): Promise<DebeziumPeer> {
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-debezium-'));
  const args = ['127.0.0.1', String(postgres.port), database, 'postgres', slot, publication, String(changes), join(folder, 'changes.jsonl'), join(folder, 'offsets')];
  const child = spawn('java', [heap, '-cp', `${join(target, 'debezium-peer.jar')}:${join(target, 'lib')}/*`, 'dev.rowseal.bench.DebeziumPeer', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PGPASSWORD: postgres.password },
  });
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  const written = saysWritten(child, changes);
  written.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    written,
    end: async () => {
      await killed(child);
      process.removeListener('exit', onExit);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function saysWritten(child: ChildProcess, changes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => reject(new Error(`Debezium has not written ${changes} changes: ${output}`)), writtenDeadlineMs);
    const see = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-10_000);
      const count = /^changes (\d+)$/m.exec(output)?.[1];
      if (count === undefined) return;
      clearTimeout(timer);
      if (Number(count) === changes) resolve();
      else reject(new Error(`Debezium wrote ${count} of ${changes} changes: ${output}`));
    };
    child.stdout?.on('data', see);
    child.stderr?.on('data', see);
    child.once('close', (code) => {
      clearTimeout(timer);
      reject(new Error(`Debezium ended with ${code}: ${output}`));
    });
  });
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // It has nothing left to keep: its slot and its files go.
  child.kill('SIGKILL');
  await closed;
}

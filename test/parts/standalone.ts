// `rowseal run` as a child process on a folder of manifests, the way a person runs it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
const mainFile = join(repository, 'src', 'cli', 'main.ts');

export interface CliResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one verb to its end. */
export async function rowseal(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  const child = spawn(process.execPath, [mainFile, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const status = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  return { status, stdout, stderr };
}

interface ManifestStatus {
  readonly status: Record<string, unknown> & {
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[];
  };
}

export interface Workspace {
  readonly folder: string;
  readonly manifests: string;
  readonly log: string;
  /** Writes one or more objects into a manifest file; an empty list removes the file. */
  declare(file: string, objects: readonly object[]): void;
  status(kind: string, name: string, namespace?: string): ManifestStatus | undefined;
  /** Waits until the object's Ready condition is as wanted, and gives back its reason and message. */
  ready(kind: string, name: string, wanted?: 'True' | 'False', reason?: string): Promise<{ reason: string; message: string }>;
  remove(): void;
}

export function createWorkspace(): Workspace {
  const folder = mkdtempSync(join(tmpdir(), 'rowseal-standalone-'));
  const manifests = join(folder, 'manifests');
  mkdirSync(manifests);
  const status: Workspace['status'] = (kind, name, namespace = 'default') => {
    const file = join(manifests, '.rowseal', 'status', `${kind}.${namespace}.${name}.yaml`);
    return existsSync(file) ? (parse(readFileSync(file, 'utf8')) as ManifestStatus) : undefined;
  };
  return {
    folder,
    manifests,
    log: join(folder, 'log'),
    status,
    declare: (file, objects) => {
      if (objects.length === 0) rmSync(join(manifests, file), { force: true });
      else writeFileSync(join(manifests, file), objects.map((object) => stringify(object)).join('---\n'));
    },
    ready: async (kind, name, wanted = 'True', reason) =>
      eventually(`${kind} ${name} Ready=${wanted} ${reason ?? ''}`, () => {
        const condition = status(kind, name)?.status.conditions?.find(({ type }) => type === 'Ready');
        const matches = condition?.status === wanted && (reason === undefined || condition.reason === reason);
        return matches ? { reason: condition.reason, message: condition.message } : Promise.reject(new Error(JSON.stringify(condition ?? 'no status')));
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface RunningRowseal {
  readonly child: ChildProcess;
  /** Everything on stderr so far. */
  messages(): string;
  /** SIGTERM, and the exit status. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

export function startRowseal(args: readonly string[], env: Record<string, string> = {}): RunningRowseal {
  const child = spawn(process.execPath, [mainFile, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } });
  let messages = '';
  child.stderr.on('data', (chunk: Buffer) => (messages += chunk.toString()));
  const onExit = () => child.kill('SIGKILL');
  process.once('exit', onExit);
  const ended = new Promise<number | null>((resolve) =>
    child.once('close', (code) => {
      process.removeListener('exit', onExit);
      resolve(code);
    }),
  );
  return {
    child,
    messages: () => messages,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
      const code = await ended;
      clearTimeout(timer);
      return code;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Tries until the action resolves; after the deadline, its last error. */
export async function eventually<T>(what: string, action: () => T | Promise<T>, deadlineMs = 30_000): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`${what}: not within ${deadlineMs} ms: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      await sleep(50);
    }
  }
}

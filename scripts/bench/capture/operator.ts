// Rowseal as it is run: `rowseal run` on manifests, one audited table in one database, a log in a folder.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Postgres } from '../../../test/parts/postgres.ts';
import { createWorkspace, eventually, rowseal, type RunningRowseal, startRowseal } from '../../../test/parts/standalone.ts';

const apiVersion = 'rowseal.dev/v1alpha1';
const mainFile = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
/** `PROFILE=FOLDER` has V8 write a CPU profile of each life of the operator there. */
const profileFolder = process.env['PROFILE'];
const profiled: Record<string, string> = profileFolder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder}` };
const rowEntry = '"type":"row.';

export interface Operator {
  /** Folder of the log. */
  readonly log: string;
  /** Starts it and waits until the audited table is captured, or, with `ready: false`, does not wait. */
  start(options?: { readonly ready?: boolean }): Promise<void>;
  stop(): Promise<void>;
  pid(): number;
  /** Number of sealed entries, as the newest journal object says. */
  sealed(): number;
  /** Checks the log, and counts the row changes in it. Throws when it isn't sound. */
  verified(): Promise<number>;
  /** Of the log, the key that its signatures are checked with. */
  verifierKey(): string;
  remove(): Promise<void>;
}

export interface OperatorOptions {
  readonly database: string;
  readonly table: string;
  readonly audit?: Readonly<Record<string, unknown>>;
}

export function createOperator(postgres: Postgres, { database, table, audit }: OperatorOptions): Operator {
  const workspace = createWorkspace();
  workspace.declare('bench.yaml', manifests(postgres.uri(database), { log: workspace.log, table, audit: audit ?? {} }));
  let running: RunningRowseal | undefined;
  const stop = async (): Promise<void> => {
    const status = await running?.stop();
    const messages = running?.messages() ?? '';
    running = undefined;
    if (status !== undefined && status !== 0) throw new Error(`rowseal run ended with ${status}: ${messages.slice(-2000)}`);
  };
  const key = () => String(workspace.status('AuditLog', 'bench')?.status['verifierKey']);
  return {
    log: workspace.log,
    start: async ({ ready = true } = {}) => {
      running = startRowseal(['run', '--manifests', workspace.manifests, '--log-level', 'warn'], profiled);
      if (ready) await eventually('the table is captured', () => workspace.ready('AuditPolicy', 'bench'), 60_000);
    },
    stop,
    pid: () => running?.child.pid ?? 0,
    sealed: () => sealedSize(workspace.log),
    verified: async () => {
      const verdict = await rowseal(['verify', workspace.log, '--key', key(), '--unpublished-after', '600']);
      if (verdict.status !== 0) throw new Error(`the log is not sound: ${verdict.stdout}${verdict.stderr}`);
      return countRows(workspace.log);
    },
    verifierKey: key,
    remove: async () => {
      await stop();
      workspace.remove();
    },
  };
}

function manifests(uri: string, { log, table, audit }: { log: string; table: string; audit: object }): object[] {
  const metadata = { name: 'bench' };
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { uri } },
    { apiVersion, kind: 'DatabaseConnection', metadata, spec: { engine: 'PostgreSQL', connection: { secretRef: metadata, tls: { mode: 'disable' } } } },
    {
      apiVersion,
      kind: 'AuditLog',
      metadata,
      spec: { origin: 'rowseal.example.com/bench', storage: { filesystem: { path: log } }, retention: { days: 2, uncoveredDays: 1 }, sealing: { maxDelay: '100ms' }, publishing: { maxDelay: '5s' } },
    },
    { apiVersion, kind: 'AuditPolicy', metadata, spec: { databaseRef: metadata, logRef: metadata, tables: [{ name: 'bench', schema: 'public', tables: [table] }], ...audit } },
  ];
}

/** From the header of the last journal object, which is text (`src/log/journal.ts`). */
function sealedSize(log: string): number {
  const folder = join(log, 'journal');
  const last = journalNumbers(log).at(-1);
  if (last === undefined) return 0;
  const file = openSync(join(folder, last), 'r');
  const head = Buffer.alloc(1024);
  readSync(file, head, 0, head.length, 0);
  closeSync(file);
  return Number(head.toString('latin1').split('\n')[4]);
}

/** File names of the journal, in order. */
export function journalNumbers(log: string): string[] {
  try {
    return readdirSync(join(log, 'journal')).filter((name) => /^\d{20}$/.test(name)).sort();
  } catch {
    return [];
  }
}

/** By the verb that prints a log, so that nothing of the writer counts its own entries. */
async function countRows(log: string): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', mainFile, 'log', log, '-o', 'jsonl'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let count = 0;
  let rest = '';
  for await (const chunk of child.stdout) {
    const lines = (rest + (chunk as Buffer).toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.includes(rowEntry)) count += 1;
  }
  if (child.exitCode === null) await once(child, 'close');
  return count;
}

/** Waits until as many entries are sealed; fails when for a minute nothing is. */
export async function untilSealed(operator: Operator, size: number, pollMs: number): Promise<void> {
  let [seen, since] = [operator.sealed(), performance.now()];
  while (seen < size) {
    await sleep(pollMs);
    const now = operator.sealed();
    if (now > seen) [seen, since] = [now, performance.now()];
    if (performance.now() - since > 60_000) throw new Error(`${seen} of ${size} entries were sealed, then none for a minute`);
  }
}

export function readJournalObject(log: string, name: string): Buffer {
  return readFileSync(join(log, 'journal', name));
}

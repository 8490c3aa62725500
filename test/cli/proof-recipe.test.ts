// docs/verify.md, run as it stands there: the verbs on real logs, and the recipe that needs no Rowseal.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import type { ExitStatus, Io } from '../../src/cli/io.ts';
import { registerLog } from '../../src/cli/log.ts';
import { registerProve } from '../../src/cli/prove.ts';
import { registerVerify } from '../../src/cli/verify.ts';
import { RowsealError } from '../../src/model/errors.ts';
import { fillStore, sampleEntry, sampleKey } from '../verify/sample-log.ts';

const entryCount = 300;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rowseal-recipe-'));
  await fillStore(async () => openFilesystemStore(join(folder, 'log')), { publications: [[3], [entryCount - 3]] });
  writeFileSync(join(folder, 'verifier.key'), `${sampleKey.verifier.text}\n`);
  const doc = readFileSync(fileURLToPath(new URL('../../docs/verify.md', import.meta.url)), 'utf8');
  writeFileSync(join(folder, 'check-proof.sh'), /```bash\n([\s\S]*?)```/.exec(doc)?.[1] ?? '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: ExitStatus | string;
  readonly out: string;
  readonly err: string;
}

async function rowseal(...args: string[]): Promise<Ended> {
  const chunks: { out: Buffer[]; err: Buffer[] } = { out: [], err: [] };
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  stdout.on('data', (chunk: Buffer) => chunks.out.push(chunk));
  stderr.on('data', (chunk: Buffer) => chunks.err.push(chunk));
  let status: ExitStatus | string = 'no exit';
  const io: Io = { stdout, stderr, env: {}, cwd: folder, signal: new AbortController().signal, color: false, exit: (value) => (status = value) };
  const program = new Command().exitOverride();
  for (const register of [registerVerify, registerProve, registerLog]) register(program, io);
  await program.parseAsync(args, { from: 'user' }).catch((error: unknown) => {
    status = error instanceof RowsealError ? error.code : String(error);
  });
  return { status, out: Buffer.concat(chunks.out).toString(), err: Buffer.concat(chunks.err).toString() };
}

function checkProof(...args: string[]): number | null {
  return spawnSync('bash', ['check-proof.sh', ...args], { cwd: folder, encoding: 'utf8', timeout: 30_000 }).status;
}

describe('the recipe in docs/verify.md', () => {
  it.each([0, 2, 3, 255, 256, 299])('accepts the proof of entry %i, and refuses it for other bytes, keys and positions', async (index) => {
    const proven = await rowseal('prove', 'log', '--entry', String(index), '--key', 'verifier.key', '--entry-file', 'entry.json');
    expect(proven.status).toBe(0);
    writeFileSync(join(folder, 'entry.tlog-proof'), proven.out);
    expect(readFileSync(join(folder, 'entry.json')).equals(sampleEntry(index, {}))).toBe(true);
    expect(checkProof('entry.json', 'entry.tlog-proof', 'verifier.key')).toBe(0);

    writeFileSync(join(folder, 'other.json'), sampleEntry(index + 1, {}));
    expect(checkProof('other.json', 'entry.tlog-proof', 'verifier.key')).toBe(1);
    writeFileSync(join(folder, 'moved.tlog-proof'), proven.out.replace(`index ${index}\n`, `index ${index === 0 ? 1 : index - 1}\n`));
    expect(checkProof('entry.json', 'moved.tlog-proof', 'verifier.key')).toBe(1);
    writeFileSync(join(folder, 'resigned.tlog-proof'), proven.out.replace(`\n${entryCount}\n`, `\n${entryCount + 1}\n`));
    expect(checkProof('entry.json', 'resigned.tlog-proof', 'verifier.key')).toBe(1);
  });
});

describe('rowseal log', () => {
  it('prints the exact leaf in each line, and filters by table, actor and time', async () => {
    const { status, out, err } = await rowseal('log', 'log', '-o', 'jsonl', '--key', 'verifier.key');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toBe(Array.from({ length: entryCount }, (_, index) => `${sampleEntry(index, {}).toString()}\n`).join(''));
    const counted = async (...flags: string[]) => (await rowseal('log', 'log', '-o', 'jsonl', ...flags)).out.split('\n').length - 1;
    expect(await counted('--table', 'public.orders')).toBe(entryCount / 2);
    expect(await counted('--actor', 'user-0')).toBe(entryCount / 3);
    expect(await counted('--since', '2026-11-23T10:00:01Z')).toBe(0);
    expect((await rowseal('log', 'log')).out.split('\n')).toHaveLength(entryCount + 2);
  });
});

describe('rowseal verify', () => {
  it('exits with 0 for a sound log, and takes the key itself too', async () => {
    expect(await rowseal('verify', 'log', '--key', 'verifier.key')).toMatchObject({ status: 0, err: '' });
    const { status, out } = await rowseal('verify', 'log', '--key', sampleKey.verifier.text, '-o', 'json');
    expect({ status, verdict: JSON.parse(out) as unknown }).toMatchObject({ status: 0, verdict: { status: 'Sound', treeSize: entryCount } });
  });

  it.each([
    [['verify', 'nowhere', '--key', 'verifier.key'], 'LogNotFound'],
    [['verify', 'log', '--key', 'nokey'], 'BadUsage'],
    [['verify', 'log', '--key', 'check-proof.sh'], 'BadKey'],
    [['verify', 's3:/x', '--key', 'verifier.key'], 'BadUsage'],
    [['prove', 'log', '--entry', '300'], 'BadUsage'],
    [['log', 'nowhere'], 'LogNotFound'],
  ] as const)('refuses %j', async (args, code) => {
    expect((await rowseal(...args)).status).toBe(code);
  });
});

// `rowseal claims sign`: its tokens are those that the database believes, and no key stands on a command line.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClaimsDatabase } from '../../src/adapters/postgres/install-claims.ts';
import { registerClaims } from '../../src/cli/claims.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { never, startFlow } from '../postgres-policy/harness.ts';

const secret = randomBytes(48);
let postgres: Postgres;
let folder: string;

beforeAll(async () => {
  postgres = await startPostgres();
  const claims = { type: 'Signed', setting: 'shop.token', bind: 'Transaction' } as const;
  const flow = await startFlow(postgres, claims);
  await createClaimsDatabase({ session: flow.session, claims }).install([{ id: '2026-11', secret }], never);
  await flow.close();
  folder = mkdtempSync(join(tmpdir(), 'rowseal-claims-'));
  writeFileSync(join(folder, '2026-11'), `${secret.toString('base64')}\n`);
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await postgres?.stop();
});

async function sign(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  let out = '';
  const stdout = new Writable({ write: (chunk: Buffer, _encoding, done) => ((out += chunk.toString()), done()) });
  const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  registerClaims(program, { stdout, stderr: stdout, env, cwd: folder, signal: never, color: false, exit: () => undefined });
  for (const command of [program, ...program.commands, ...program.commands.flatMap((child) => child.commands)]) command.exitOverride().configureOutput({ writeErr: () => undefined });
  await program.parseAsync(['claims', 'sign', ...args], { from: 'user' });
  return out.trim();
}

test('a key from a file, named by the file, or from the environment; numbers keep every digit', async () => {
  const client = new pg.Client({ connectionString: postgres.uri() });
  await client.connect();
  await client.query('begin');
  const { challenge } = (await client.query('select rowseal.challenge() as challenge')).rows[0] as { challenge: string };
  const claims = '{"tenant": 12345678901234567890.10}';
  for (const [args, env] of [
    [['--key-file', '2026-11'], {}],
    [['--key-id', '2026-11'], { ROWSEAL_CLAIMS_KEY: secret.toString('base64') }],
  ] as const) {
    await client.query(`select set_config('shop.token', $1, true)`, [await sign(['--challenge', challenge, '--claims', claims, ...args], env)]);
    expect((await client.query(`select rowseal.signed_claims('shop.token', 'Transaction')::text as claims, reason from rowseal.explain_claims()`)).rows).toEqual([{ claims, reason: 'Accepted' }]);
  }
  await client.end();
});

test('what it cannot sign it says, and never the key', async () => {
  const good = ['--challenge', '5b5d', '--claims', '{}'];
  const codeOf = (args: readonly string[], env?: Record<string, string>) => sign(args, env).then(() => 'signed', (error: Error & { code: string }) => (expect(error.message).not.toContain(secret.toString('base64')), error.code));
  expect(await codeOf([...good, '--key-file', '2026-11'])).toBe('signed');
  expect(await codeOf(good)).toBe('BadUsage');
  expect(await codeOf(good, { ROWSEAL_CLAIMS_KEY: secret.toString('base64') })).toBe('BadUsage');
  expect(await codeOf([...good, '--key-file', 'absent'])).toBe('BadUsage');
  expect(await codeOf([...good, '--key-id', 'a.b'], { ROWSEAL_CLAIMS_KEY: secret.toString('base64') })).toBe('BadSecret');
  expect(await codeOf([...good, '--key-id', 'k'], { ROWSEAL_CLAIMS_KEY: 'c2hvcnQ=' })).toBe('BadSecret');
  expect(await codeOf(['--challenge', `x'; drop table`, '--claims', '{}', '--key-file', '2026-11'])).toBe('BadUsage');
  for (const bad of ['[]', '{', 'null', '1']) expect(await codeOf(['--challenge', '5b5d', '--claims', bad, '--key-file', '2026-11'])).toBe('commander.invalidArgument');
});

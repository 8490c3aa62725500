// The whole way: a manifest names columns, and neither the log's files nor the operator's messages hold their values or the key.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { createShop, shop, withClient } from '../parts/shop.ts';
import { createWorkspace, eventually, type RunningRowseal, rowseal, startRowseal, type Workspace } from '../parts/standalone.ts';

let postgres: Postgres;
let workspace: Workspace;
let running: RunningRowseal;
const start = () => startRowseal(['run', '--manifests', workspace.manifests, '--log-level', 'debug']);

beforeAll(async () => {
  postgres = await startPostgres();
  await createShop(postgres);
  await withClient(postgres.uri(), (client) => client.query(`create table people (id int primary key, card text, email text, note text)`));
  workspace = createWorkspace();
  workspace.declare('secret.yaml', [shop.secret(postgres)]);
  const { spec, ...rest } = shop.audit() as { spec: object };
  const tables = [{ name: 'people', schema: 'public', tables: ['people'], columns: { omit: ['card'], hash: ['email'], redact: ['note'] } }];
  workspace.declare('shop.yaml', [shop.connection(), shop.log({ filesystem: { path: workspace.log } }), { ...rest, spec: { ...spec, tables } }]);
  running = start();
  await workspace.ready('AuditPolicy', 'orders');
});
afterAll(async () => {
  await running?.stop();
  await postgres?.stop();
  workspace?.remove();
});

interface Entry {
  readonly type: string;
  readonly change?: { readonly after?: Readonly<Record<string, string>> };
}
const people = async (): Promise<readonly (Readonly<Record<string, string>> | undefined)[]> => {
  const { stdout } = await rowseal(['log', workspace.log, '-o', 'jsonl']);
  const entries = stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Entry);
  return entries.filter(({ type }) => type === 'row.insert').map(({ change }) => change?.after);
};
const secretFile = () => filesBelow(workspace.manifests).find((file) => file.includes('hash-key')) ?? '';

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
}

/** Every way of packing that a file might have, beside its bytes as they are. */
function unpacked(bytes: Buffer): readonly Buffer[] {
  const found = [bytes];
  for (const unpack of [gunzipSync, inflateSync, inflateRawSync, zstdDecompressSync]) {
    for (const at of starts(bytes)) {
      try {
        found.push(unpack(bytes.subarray(at)));
      } catch {
        // Not packed in this way from there on.
      }
    }
  }
  return found;
}

/** A header may come first, which ends with an empty line. */
function starts(bytes: Buffer): readonly number[] {
  const found = [0];
  for (let at = bytes.indexOf('\n\n'); at >= 0 && found.length < 8; at = bytes.indexOf('\n\n', at + 1)) found.push(at + 2);
  return found;
}

it('keeps the values and the key to itself, and the key over a restart', async () => {
  await withClient(postgres.uri(), (client) => client.query(`insert into people values (1, 'SECRET-c', 'SECRET-e', 'SECRET-n')`));
  const [first] = await eventually('the row is sealed', async () => {
    const rows = await people();
    if (rows.length === 0) throw new Error('no row');
    return rows;
  });
  expect(first).toEqual({ id: '1', email: expect.stringMatching(/^hmac-sha256:[0-9a-f]{64}$/), note: '[redacted]' });
  const before = readFileSync(secretFile(), 'utf8');
  const messages = [running.messages()];
  await running.stop();
  running = start();
  await withClient(postgres.uri(), (client) => client.query(`insert into people values (2, 'SECRET-c', 'SECRET-e', 'SECRET-n')`));
  const [, second] = await eventually('the second row is sealed', async () => {
    const rows = await people();
    if (rows.length < 2) throw new Error('no second row');
    return rows;
  });
  expect(second).toEqual({ ...first, id: '2' });
  expect(readFileSync(secretFile(), 'utf8')).toBe(before);
  await running.stop();
  messages.push(running.messages());

  const { stringData } = parse(before) as { stringData: Record<string, string> };
  const key = stringData['hash.key'] ?? '';
  expect(key.length).toBeGreaterThan(40);
  const logged = filesBelow(workspace.log).flatMap((file) => unpacked(readFileSync(file)));
  expect(logged.some((bytes) => bytes.includes('hmac-sha256:'))).toBe(true);
  for (const bytes of [...logged, ...messages.map((text) => Buffer.from(text))]) {
    expect(bytes.includes('SECRET')).toBe(false);
    expect(bytes.includes(key) || bytes.includes(Buffer.from(key, 'base64').toString('hex')) || bytes.includes(Buffer.from(key, 'base64'))).toBe(false);
  }
  // Status says nothing of either.
  for (const file of filesBelow(workspace.manifests).filter((name) => name.includes('status'))) expect(readFileSync(file, 'utf8')).not.toContain(key);
});

// A real log over a restored disk: it stays sound, and the operator dies at each step of opening a gap without a second one.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { openFilesystemReader } from '../../src/adapters/filesystem/reader.ts';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import { generateSigningKey, parseSigningKey } from '../../src/log/keys.ts';
import type { LogWriter } from '../../src/ports/log-writer.ts';
import { parseEntry } from '../../src/log/entry.ts';
import { verifyLog } from '../../src/verify/verify-log.ts';
import { auditSettings, connected, openAuditedDatabase, silentLogger, until } from '../parts/audited-database.ts';
import { createMemoryWriter } from '../parts/memory-writer.ts';
import { freePort, installationOf, type Postgres, startOnData, startPostgres } from '../parts/postgres.ts';
import { copyData } from '../parts/standby.ts';

const installation = installationOf(18);
const { signal } = new AbortController();
const servers: Postgres[] = [];
const folders: string[] = [];
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'rowseal-slots-'));
  folders.push(made);
  return made;
};
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(() => {
  for (const made of folders) rmSync(made, { recursive: true, force: true });
});

const started = async (root: string, password?: string): Promise<Postgres> => {
  const server = password === undefined ? await startPostgres({ installation, dataFolder: root }) : await startOnData({ installation, root, password, port: await freePort(), keep: true });
  servers.push(server);
  return server;
};

it('stays sound over a restored disk, and names the leaves that it lacks', { timeout: 60_000 }, async () => {
  const { text } = generateSigningKey('test.example/restored', randomBytes(32));
  const signingKey = parseSigningKey(text);
  const log = folder();
  const open = async (): Promise<LogWriter> =>
    openLogWriter({
      store: await openFilesystemStore(log),
      signingKey,
      origin: signingKey.name,
      clock: systemClock,
      randomness: systemRandomness,
      logger: silentLogger,
      retention: { days: 1, uncoveredDays: 1 },
      sealing: { maxDelayMs: 5, maxBytes: 1024 * 1024 },
      publishing: { maxDelayMs: 50 },
      signal,
    });
  /** Captures while so many rows are written, and gives all entries that are sealed then. */
  const captured = async (server: Postgres, values: string): Promise<readonly { leafIndex: number; text: string }[]> => {
    const writer = await open();
    const database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
    const run = await database.start(writer, auditSettings(['t']));
    const client = await connected(server.uri());
    for (const value of values) {
      await client.query('insert into t select $1, n from generate_series(1, 50) n', [value]);
      await until(`the rows of ${value}`, async () => (await all(writer)).some((entry) => entry.text.includes(`"v":"${value}"`)));
    }
    await client.end();
    await run.stop();
    const entries = await all(writer);
    await database.close();
    await writer.close(signal);
    return entries;
  };

  const root = folder();
  const first = await started(root);
  const client = await connected(first.uri());
  await client.query('create table t (v text, n int)');
  await client.end();
  await captured(first, 'ab');
  await first.stop();
  const copy = folder();
  copyData(join(root, 'data'), copy);
  await captured(await started(root, first.password), 'cdef');
  for (const server of servers.splice(0)) await server.stop();
  const entries = await captured(await started(copy, first.password), 'xy');

  const gap = entries.map((entry) => parseEntry(Buffer.from(entry.text))).find(({ type }) => type === 'gap.rewound');
  if (gap === undefined) throw new Error('there is no gap');
  expect(gap['gap']).toMatchObject({ missed: false, lacking: { changes: 200, transactions: 4 } });
  const { first: from, last: to } = (gap['gap'] as { lacking: { leaves: { first: number; last: number } } }).lacking.leaves;
  const lacking = entries.filter((entry) => entry.leafIndex >= from && entry.leafIndex <= to && entry.text.includes('"type":"row.'));
  expect(new Set(lacking.map((entry) => /"v":"(.)"/.exec(entry.text)?.[1]))).toEqual(new Set('cdef'));
  expect(lacking.length).toBe(200);
  // Once each: those in common, those that never happened here, and those of the copy.
  expect(entries.filter((entry) => entry.text.includes('"type":"row.')).length).toBe(400);
  const verdict = await verifyLog(await openFilesystemReader(log), { verifierKey: signingKey.verifier, clock: systemClock }, signal);
  expect(verdict).toMatchObject({ status: 'Sound' });
  expect(JSON.stringify(verdict)).toContain('"gaps":1');
});

it('seals one gap however often the operator dies between the new slot and its seal', async () => {
  const server = await started(folder());
  const client = await connected(server.uri());
  await client.query('create table t (id int primary key)');
  const memory = createMemoryWriter();
  const database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  const run = await database.start(memory, auditSettings(['t']));
  await client.query('insert into t values (1)');
  await until('the row', () => memory.entries().some((entry) => entry.type === 'row.insert'));
  await run.stop();
  const name = database.audit.captureName(memory.origin);
  await until('the slot is free', async () => (await client.query('select from pg_replication_slots where active')).rowCount === 0);
  await client.query('select pg_drop_replication_slot($1)', [name]);
  await client.query('insert into t values (2)');
  for (let death = 0; death < 3; death++) {
    // The slot is there, and what should have been sealed with it is not.
    const dying: LogWriter = { ...memory, append: async () => Promise.reject(new Error('died')) };
    await expect(database.start(dying, auditSettings(['t']))).rejects.toThrow('died');
    expect((await client.query('select from pg_replication_slots where slot_name = $1', [name])).rowCount).toBe(1);
  }
  const again = await database.start(memory, auditSettings(['t']));
  await client.query('insert into t values (3)');
  await until('the row', () => memory.entries().filter((entry) => entry.type === 'row.insert').length === 2);
  const gaps = memory.entries().filter((entry) => entry.type === 'gap');
  expect(gaps.map((entry) => (entry['gap'] as { reason: string }).reason)).toEqual(['ConfirmedBeyondSealed']);
  await again.stop();
  await database.close();
  await client.end();
});

async function all(writer: LogWriter): Promise<readonly { leafIndex: number; text: string }[]> {
  const entries: { leafIndex: number; text: string }[] = [];
  for await (const { leafIndex, entry } of writer.sealed?.(0, signal) ?? []) entries.push({ leafIndex, text: Buffer.from(entry).toString() });
  return entries;
}

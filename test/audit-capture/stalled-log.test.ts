// A log that does not take anything for a while: the reader holds the socket, the server waits, and nothing is lost or read twice.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LogWriter } from '../../src/ports/log-writer.ts';
import { auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { createMemoryWriter } from '../parts/memory-writer.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';

const rows = 40_000;
/** Three times what the server would bear by its own setting. */
const stalledMs = 3_000;
let server: Postgres;

beforeAll(async () => {
  server = await startPostgres({ settings: ['wal_sender_timeout = 1s'] });
});
afterAll(() => server.stop());

it('does not cost the connection, and every row is sealed once when it takes entries again', async () => {
  const admin = await connected(server.uri());
  await admin.query('create table many (id int primary key, note text)');
  const database = await openAuditedDatabase({ port: server.port, password: server.password, database: 'postgres' });
  const memory = createMemoryWriter();
  let gate: { readonly open: Promise<void>; readonly resolve: () => void } | undefined;
  const writer: LogWriter = {
    ...memory,
    append: async (batch, signal) => {
      await gate?.open;
      await memory.append(batch, signal);
    },
  };
  const run = await database.start(writer, auditSettings(['many']));
  await until('audit.start', () => memory.entries().some((entry) => entry.type === 'audit.start'));
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = { open: promise, resolve };
  await admin.query(`insert into many select i, repeat('x', 400) from generate_series(1, ${rows}) i`);
  const sender = async () => (await admin.query<{ pid: number; sent: string }>('select pid, sent_lsn::text as sent from pg_stat_replication')).rows[0];
  // Once nothing is sent any more the reader is full: from here on the server waits for us.
  let stuck = { sent: '', sinceMs: Date.now() };
  const held = await until('the server to have waited for long', async () => {
    const now = await sender();
    if (now === undefined || now.sent !== stuck.sent) stuck = { sent: now?.sent ?? '', sinceMs: Date.now() };
    return Date.now() - stuck.sinceMs > stalledMs ? now : undefined;
  });
  gate.resolve();
  const inserted = () => memory.entries().filter((entry) => entry.type === 'row.insert') as unknown as readonly { readonly object: { readonly key: { readonly id: string } } }[];
  await until('all rows', () => inserted().length >= rows);
  expect(inserted().map(({ object }) => Number(object.key.id))).toEqual(Array.from({ length: rows }, (_, at) => at + 1));
  expect((await sender())?.pid).toBe(held.pid);
  await run.stop();
  await database.close();
  await admin.end();
});

// One capture over servers that come and go: rows are written on one, and looked for in the log.
import type pg from 'pg';
import type { RunningAudit } from '../../src/ports/audit-runtime.ts';
import { type AuditedDatabase, auditSettings, connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter, type MemoryWriter } from '../parts/memory-writer.ts';
import type { Postgres } from '../parts/postgres.ts';

interface Place {
  readonly admin: pg.Client;
  readonly database: AuditedDatabase;
  readonly run: RunningAudit;
  /** Commits a row of table `t`, and waits until it is sealed. */
  insert(id: number): Promise<void>;
  /** Stops the capture and leaves the server. */
  leave(): Promise<void>;
}

export interface Watched {
  readonly writer: MemoryWriter;
  /** Positive ids of the rows in the log, in its order. */
  ids(): readonly number[];
  /** The timelines of the same. */
  timelines(): readonly number[];
  /** The `gap` member of all gaps, with the entry's type. */
  gaps(): readonly Record<string, unknown>[];
  /** Starts to capture table `t`, and others, of a server's database. */
  at(server: Postgres, options?: { database?: string; connection?: string; tables?: readonly string[] }): Promise<Place>;
  /** Waits until the server has heard of a sealed marker, over rows with negative ids. */
  settled(place: Place): Promise<void>;
}

export function watched(): Watched {
  const writer = createMemoryWriter();
  const rows = (): readonly CapturedEntry[] => writer.entries().filter((entry) => entry.type === 'row.insert');
  const idOf = (entry: CapturedEntry): number => Number((entry['change'] as { after: { id: string } }).after.id);
  const ids = (): readonly number[] => rows().map(idOf).filter((id) => id > 0);
  return {
    writer,
    ids,
    timelines: () =>
      rows()
        .filter((entry) => idOf(entry) > 0)
        .map((entry) => (entry['source'] as { timeline: number }).timeline),
    gaps: () =>
      writer
        .entries()
        .filter((entry) => entry.type.startsWith('gap'))
        .map((entry) => ({ type: entry.type, ...(entry['gap'] as object) })),
    at: async (server, { database: name = 'postgres', connection, tables = ['t'] } = {}) => {
      const admin = await connected(server.uri(name));
      const database = await openAuditedDatabase({ port: server.port, password: server.password, database: name });
      const run = await database.start(writer, { ...auditSettings(tables), ...(connection === undefined ? {} : { connection }) });
      run.failed.catch(() => undefined);
      return {
        admin,
        database,
        run,
        insert: async (id) => {
          await admin.query('insert into t values ($1)', [id]);
          await until(`row ${id}`, () => ids().includes(id));
        },
        leave: async () => {
          await run.stop();
          await database.close();
          await admin.end();
        },
      };
    },
    settled: async ({ admin, database }) => {
      const slot = database.audit.captureName(writer.origin);
      let filler = 0;
      await until('the server has heard of a sealed marker', async () => {
        // A state without entries is sealed seconds later; a row takes it along.
        await admin.query('insert into t values ($1)', [(filler -= 1)]);
        const { rows: found } = await admin.query<{ at: string }>(`select (confirmed_flush_lsn - '0/0')::text as at from pg_replication_slots where slot_name = $1`, [slot]);
        return writer.batches.some(({ state }) => state.marker?.commitLsn.toString() === found[0]?.at);
      });
    },
  };
}

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
  /** Ids of the rows in the log, in its order. */
  ids(): readonly number[];
  /** The `gap` member of all gaps, with the entry's type. */
  gaps(): readonly Record<string, unknown>[];
  /** Starts to capture table `t` of a server's database. */
  at(server: Postgres, options?: { database?: string; connection?: string }): Promise<Place>;
  /** Waits until everything sealed so far has a marker behind it, and the server has heard of it. */
  settled(place: Place): Promise<void>;
}

export function watched(): Watched {
  const writer = createMemoryWriter();
  const rows = (): readonly CapturedEntry[] => writer.entries().filter((entry) => entry.type === 'row.insert');
  const ids = (): readonly number[] => rows().map((entry) => Number((entry['change'] as { after: { id: string } }).after.id));
  return {
    writer,
    ids,
    gaps: () =>
      writer
        .entries()
        .filter((entry) => entry.type.startsWith('gap'))
        .map((entry) => ({ type: entry.type, ...(entry['gap'] as object) })),
    at: async (server, { database: name = 'postgres', connection } = {}) => {
      const admin = await connected(server.uri(name));
      const database = await openAuditedDatabase({ port: server.port, password: server.password, database: name });
      const run = await database.start(writer, { ...auditSettings(['t']), ...(connection === undefined ? {} : { connection }) });
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
      const known = (): string | undefined => writer.batches.at(-1)?.state.marker?.commitLsn.toString();
      await until('a marker is sealed behind everything', () => {
        const last = writer.batches.at(-1)?.state;
        return last?.marker !== undefined && last.marker.commitLsn === last.position.lsn;
      });
      await until('the server has heard of it', async () => {
        const { rows: found } = await admin.query<{ at: string }>(`select (confirmed_flush_lsn - '0/0')::text as at from pg_replication_slots where slot_name = $1`, [slot]);
        return found[0]?.at === known();
      });
    },
  };
}

// A captured database whose entries a test takes statement by statement, up to a fence row that follows them.
import type pg from 'pg';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import type { AuditSettings } from '../../src/ports/audit-settings.ts';
import { connected, openAuditedDatabase, until } from '../parts/audited-database.ts';
import { type CapturedEntry, createMemoryWriter } from '../parts/memory-writer.ts';
import { installationOf, startPostgres } from '../parts/postgres.ts';

export interface ActorWorld {
  readonly admin: pg.Client;
  readonly uri: (database?: string, user?: string, password?: string) => string;
  client(user: string): Promise<pg.Client>;
  /** Runs statements, and gives the entries that they led to. */
  entriesOf(client: pg.Client, ...statements: readonly string[]): Promise<readonly CapturedEntry[]>;
  readonly entries: () => readonly CapturedEntry[];
  readonly proof: () => Promise<string | undefined>;
  close(): Promise<void>;
}

export interface ActorWorldOptions {
  readonly major: 15 | 16 | 17 | 18;
  /** Needs a table `fence (n int)`. */
  readonly schema: string;
  readonly settings: AuditSettings;
  readonly claims?: ClaimsConfiguration;
  readonly beforeStart?: (place: { port: number; password: string; database: string }) => Promise<void>;
}

export async function startActorWorld({ major, schema, settings, claims, beforeStart }: ActorWorldOptions): Promise<ActorWorld> {
  const server = await startPostgres({ installation: installationOf(major), settings: ['max_prepared_transactions = 4'] });
  const admin = await connected(server.uri());
  await admin.query(schema);
  const writer = createMemoryWriter();
  const place = { port: server.port, password: server.password, database: 'postgres' };
  await beforeStart?.(place);
  const database = await openAuditedDatabase({ ...place, ...(claims === undefined ? {} : { claims }) });
  const run = await database.start(writer, settings);
  await until('audit.start', () => writer.entries().some((entry) => entry.type === 'audit.start'));
  const clients: pg.Client[] = [admin];
  let fences = 0;
  const isFence = (entry: CapturedEntry, n?: number) => {
    const about = entry['object'] as { table?: string } | undefined;
    return about?.table === 'fence' && (n === undefined || JSON.stringify(entry['change'] ?? '').includes(`"n":"${n}"`));
  };
  return {
    admin,
    uri: (database, user, password) => server.uri(database, user, password),
    client: async (user) => {
      const client = await connected(server.uri('postgres', user, user));
      clients.push(client);
      return client;
    },
    entriesOf: async (client, ...statements) => {
      const before = writer.entries().length;
      for (const statement of statements) await client.query(statement);
      const n = ++fences;
      await admin.query('insert into fence values ($1)', [n]);
      await until('the fence row', () => writer.entries().slice(before).some((entry) => isFence(entry, n)));
      return writer.entries().slice(before).filter((entry) => entry.type !== 'relation' && !isFence(entry));
    },
    entries: () => writer.entries(),
    proof: async () => (await admin.query<{ proof: string }>('select proof from rowseal.audit_key')).rows[0]?.proof,
    close: async () => {
      await run.stop();
      await database.close();
      for (const client of clients) await client.end();
      await server.stop();
    },
  };
}

export function actorOf(entry: CapturedEntry | undefined): Readonly<Record<string, unknown>> {
  return (entry?.['actor'] ?? {}) as Readonly<Record<string, unknown>>;
}

/** `table: effective user` of each row entry. */
export function effectiveOf(entries: readonly CapturedEntry[]): readonly string[] {
  return entries
    .filter((entry) => entry.type.startsWith('row.'))
    .map((entry) => `${(entry['object'] as { table: string }).table}: ${(actorOf(entry)['effective'] as string | undefined) ?? (actorOf(entry)['unattributed'] === true ? 'unattributed' : 'unknown')}`);
}

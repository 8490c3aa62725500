// Databases to lint: one fresh database a case on a real PostgreSQL, with the roles that the pages of docs/lints speak of.
import pg from 'pg';
import { lintDatabase } from '../../src/cli/lint-database.ts';
import type { WitnessedFinding } from '../../src/lint/lint.ts';
import type { ConnectionTarget } from '../../src/ports/database.ts';
import type { Postgres } from '../parts/postgres.ts';

export interface Case {
  readonly target: ConnectionTarget;
  readonly findings: readonly WitnessedFinding[];
}

const never = new AbortController().signal;

/** Runs the SQL as `owner` in a fresh database, lints it as the superuser, and clears everything away, roles included. */
export async function withCase<T>(postgres: Postgres, sql: string, look: (found: Case) => Promise<T> | T): Promise<T> {
  const name = `lint_${Math.floor(performance.now() * 1000)}`;
  await asAdmin(postgres, 'postgres', (admin) => admin.query(`create database ${name}`));
  try {
    await asAdmin(postgres, 'postgres', (admin) => admin.query(`create role owner login; create role app login; grant create on database ${name} to owner`));
    await asAdmin(postgres, name, (admin) => admin.query(`grant create on schema public to owner; set role owner; ${sql}`));
    const target: ConnectionTarget = { host: '127.0.0.1', port: postgres.port, database: name, user: 'postgres', password: postgres.password, tls: { mode: 'disable' }, claims: { type: 'Setting', setting: 'request.jwt.claims' } };
    const { findings } = await lintDatabase(target, { select: (all) => ({ findings: all, allowed: [] }), witnesses: true }, never);
    return await look({ target, findings });
  } finally {
    await asAdmin(postgres, 'postgres', async (admin) => {
      await admin.query(`drop database ${name} with (force)`);
      const { rows } = await admin.query<{ name: string }>(`select quote_ident(rolname) as name from pg_roles where oid >= 16384`);
      for (const row of rows) await admin.query(`drop role ${row.name}`);
    });
  }
}

async function asAdmin<T>(postgres: Postgres, database: string, action: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: postgres.uri(database) });
  await client.connect();
  try {
    return await action(client);
  } finally {
    await client.end();
  }
}

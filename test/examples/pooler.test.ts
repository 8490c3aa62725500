// The examples behind a real PgBouncer in transaction pooling with one server connection: whoever is next on it sees nothing of the last.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signClaims } from '../../examples/node/sign-claims.ts';
import { actingFor as actingForWithDrizzle } from '../../examples/node/with-drizzle.ts';
import { actingFor } from '../../examples/node/with-pg.ts';
import { createClaimsDatabase } from '../../src/adapters/postgres/install-claims.ts';
import type { ClaimsBinding } from '../../src/model/claims.ts';
import { djangoPython } from '../parts/django.ts';
import { type PgBouncer, pgBouncerInstalled, startPgBouncer } from '../parts/pgbouncer.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { never, startFlow } from '../postgres-policy/harness.ts';

const secret = randomBytes(32);
const key = { id: '2026-11', secret: secret.toString('base64') };
const tenants = ['acme', 'globex'] as const;
const python = djangoPython();

describe.skipIf(!pgBouncerInstalled)('behind PgBouncer (needs the package pgbouncer)', () => {
  let postgres: Postgres;
  let bouncer: PgBouncer;
  let pool: pg.Pool;

  beforeAll(async () => {
    postgres = await startPostgres();
    const admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
    await admin.query(`create role app login password 'app'`);
    // The examples' own table comes last: the challenge then asks for what its policies want.
    for (const [table, bind] of [['session_orders', 'Session'], ['expiry_orders', 'Expiry'], ['orders', 'Transaction']] as const) {
      await admin.query(`create table ${table} (id int primary key, tenant_id text not null); insert into ${table} values (1, 'acme'), (2, 'globex'); grant all on ${table} to app`);
      await govern(table, bind);
    }
    await admin.end();
    bouncer = await startPgBouncer({ port: postgres.port, users: { app: 'app' } });
    pool = new pg.Pool({ connectionString: bouncer.uri('postgres', 'app', 'app'), max: 4 });
  });
  afterAll(async () => {
    await pool?.end();
    await bouncer?.stop();
    await postgres?.stop();
  });

  async function govern(table: string, bind: ClaimsBinding): Promise<void> {
    const claims = { type: 'Signed', setting: 'rowseal.token', bind } as const;
    const flow = await startFlow(postgres, claims);
    await flow.converge(table, { target: { schema: 'public', tables: [table] }, rules: [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all: [{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }] } }] });
    await createClaimsDatabase({ session: flow.session, claims }).install([{ id: key.id, secret }], never);
    await flow.close();
  }
  /** Forty transactions of two tenants at a time, four clients over one server connection. */
  async function interleaved(one: (tenant: string) => Promise<readonly string[]>): Promise<void> {
    const jobs = Array.from({ length: 40 }, (_, index) => tenants[index % 2] ?? '');
    const seen = await Promise.all(jobs.map(one));
    expect(seen).toEqual(jobs.map((tenant) => [tenant]));
  }

  it('node-postgres: tenants that share a connection see their own rows only, and leave nothing behind', async () => {
    await interleaved((tenant) =>
      actingFor(pool, key, { tenant_id: tenant }, async (client) => (await client.query('select tenant_id from orders')).rows.map((row) => row.tenant_id as string)),
    );
    await expect(actingFor(pool, key, { tenant_id: 'acme' }, (client) => client.query(`insert into orders values (9, 'globex')`))).rejects.toMatchObject({ code: '42501' });
    expect((await pool.query('select * from orders')).rows).toEqual([]);
  });

  it('Drizzle: the same', async () => {
    const db = drizzle({ client: pool });
    const orders = pgTable('orders', { id: integer('id').primaryKey(), tenantId: text('tenant_id').notNull() });
    await interleaved((tenant) => actingForWithDrizzle(db, key, { tenant_id: tenant }, async (tx) => (await tx.select().from(orders)).map((order) => order.tenantId)));
    await expect(actingForWithDrizzle(db, key, { tenant_id: 'acme' }, (tx) => tx.insert(orders).values({ id: 9, tenantId: 'globex' }))).rejects.toMatchObject({ cause: { code: '42501' } });
    expect(await db.select().from(orders)).toEqual([]);
  });

  it.skipIf(python === undefined)('Django: the same, in threads (needs python3 with venv)', async () => {
    const { output, status } = await run(python ?? '', ['tenants.py', ...tenants]);
    expect(status, output).toBe(0);
    expect(JSON.parse(output)).toEqual(tenants.map((tenant) => ({ tenant, seen: [tenant], refused: 10, without: 0 })));
  });

  async function run(command: string, args: readonly string[]): Promise<{ output: string; status: number | null }> {
    const child = spawn(command, args, {
      cwd: fileURLToPath(new URL('../../examples/django', import.meta.url)),
      env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', PGHOST: '127.0.0.1', PGPORT: String(bouncer.port), PGDATABASE: 'postgres', PGUSER: 'app', PGPASSWORD: 'app', ROWSEAL_CLAIMS_KEY: key.secret, ROWSEAL_CLAIMS_KEY_ID: key.id },
    });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { output: status === 0 ? output : errors, status };
  }

  /** What the next client on the server connection sees that a token was left on, or brought to, without any claims of its own. */
  async function replayed(table: string, bind: ClaimsBinding): Promise<{ left: number; brought: number }> {
    const [victim, next] = [new pg.Client(bouncer.uri('postgres', 'app', 'app')), new pg.Client(bouncer.uri('postgres', 'app', 'app'))];
    await Promise.all([victim.connect(), next.connect()]);
    await victim.query('begin');
    const { challenge } = (await victim.query('select rowseal.challenge($1) as challenge', [bind])).rows[0] as { challenge: string };
    const token = signClaims(challenge, { tenant_id: 'acme' }, key);
    // For the session and not for the transaction: the mistake that a pooler turns into a leak.
    await victim.query(`select set_config('rowseal.token', $1, false)`, [token]);
    expect((await victim.query(`select * from ${table}`)).rowCount).toBe(1);
    await victim.query('commit');
    const left = (await next.query(`select * from ${table}`)).rowCount ?? 0;
    await next.query('begin');
    await next.query(`select set_config('rowseal.token', $1, true)`, [token]);
    const brought = (await next.query(`select * from ${table}`)).rowCount ?? 0;
    await next.query(`rollback; reset all`);
    await Promise.all([victim.end(), next.end()]);
    return { left, brought };
  }

  it('Session and Expiry serve the next client of the connection, as docs/claims.md warns; Transaction does not', async () => {
    expect(await replayed('session_orders', 'Session')).toEqual({ left: 1, brought: 1 });
    expect(await replayed('expiry_orders', 'Expiry')).toEqual({ left: 1, brought: 1 });
    expect(await replayed('orders', 'Transaction')).toEqual({ left: 0, brought: 0 });
  });
});

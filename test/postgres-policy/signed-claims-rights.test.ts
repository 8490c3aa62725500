// Installing signed claims with less than a superuser's rights: what works, what is said to be missing, and who could read the keys.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClaimsDatabase } from '../../src/adapters/postgres/install-claims.ts';
import { openSession, type RunQuery, type Session } from '../../src/adapters/postgres/session.ts';
import type { ClaimsBinding } from '../../src/model/claims.ts';
import type { RowsealError } from '../../src/model/errors.ts';
import type { InstalledClaims } from '../../src/ports/claims-database.ts';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { never } from './harness.ts';

const keys = [{ id: 'k', secret: randomBytes(32) }];

describe.each([15, 16, 18] as const)('signed claims without a superuser on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let admin: pg.Client;
  let session: Session | undefined;
  let count = 0;
  const sent: string[] = [];

  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    admin = new pg.Client({ connectionString: postgres.uri() });
    await admin.connect();
  });
  afterEach(() => session?.close());
  afterAll(async () => {
    await admin?.end();
    await postgres?.stop();
  });

  /** The session, with everything that goes to the server noted. */
  const watched = (real: Session): Pick<Session, 'transaction'> => ({
    transaction: (action, signal) =>
      real.transaction((query) => {
        const noting: RunQuery = (text, values) => {
          sent.push(JSON.stringify([text, values]));
          return query(text, values);
        };
        return action(noting);
      }, signal),
  });

  /** Installs in a fresh database as a fresh role with these attributes. */
  async function install(attributes: string, bind: ClaimsBinding = 'Transaction', before?: (database: string, role: string) => Promise<void>): Promise<InstalledClaims> {
    count += 1;
    const [database, role] = [`shop${count}`, `operator${count}`];
    await admin.query(`create role ${role} login password 'operator' ${attributes}`);
    await admin.query(`create database ${database}`);
    await admin.query(`grant create on database ${database} to ${role}`);
    await before?.(database, role);
    const claims = { type: 'Signed', setting: 'rowseal.token', bind } as const;
    session = await openSession({ host: '127.0.0.1', port: postgres.port, database, user: role, password: 'operator', tls: { mode: 'disable' }, claims }, never);
    const inside = createClaimsDatabase({ session: watched(session), claims });
    await inside.install(keys, never);
    return inside.install(keys, never);
  }
  const refusal = async (promise: Promise<unknown>): Promise<RowsealError> => promise.then(() => Promise.reject(new Error('it was installed')), (error: RowsealError) => error);
  const ownerIn = async (database: string): Promise<string> => (await admin.query(`select 'rowseal_claims_' || oid as name from pg_database where datname = $1`, [database])).rows[0].name as string;

  it('needs CREATEROLE only, and says that its own role could read the keys', async () => {
    expect((await install('createrole')).readers).toContain(`operator${count}`);
    const [owned] = (await session?.query<{ owner: string; login: boolean }>(`select r.rolname::text as owner, r.rolcanlogin as login from pg_class c join pg_roles r on r.oid = c.relowner where c.oid = 'rowseal.claims_key'::regclass`, [], never)) ?? [];
    expect(owned).toEqual({ owner: await ownerIn(`shop${count}`), login: false });
    const [create] = (await session?.query<{ create: boolean }>(`select has_schema_privilege($1, 'rowseal', 'CREATE') as create`, [owned?.owner], never)) ?? [];
    expect(create).toEqual({ create: false });
    if (major > 15) await expect(session?.query('select * from rowseal.claims_key', [], never)).rejects.toMatchObject({ code: '42501' });
  });

  it('names the SQL that a superuser has to run where it may not create roles, and works after it', async () => {
    const error = await refusal(install(''));
    expect(error.code).toBe('DatabasePrivilege');
    expect(error.next).toContain(`CREATE ROLE "${await ownerIn(`shop${count}`)}" NOLOGIN`);
    await install('', 'Transaction', async (database, role) => {
      const owner = await ownerIn(database);
      await admin.query(`create role ${owner} nologin; grant ${owner} to ${role}`);
    });
  });

  it('binds to a session only where it may know when one began', async () => {
    if (major === 15) await install('createrole', 'Session');
    else {
      expect((await refusal(install('createrole', 'Session'))).next).toContain('GRANT pg_read_all_stats');
      await install('createrole', 'Session', async (_database, role) => {
        await admin.query(`grant pg_read_all_stats to ${role} with admin option`);
      });
    }
    expect((await session?.query<{ c: string }>(`select rowseal.challenge() as c`, [], never))?.[0]?.c).toMatch(/^5b2253657373696f6e22/);
  });

  it('sends no key that a server could log, neither in statements nor in their parameters', () => {
    expect(sent.join()).toContain('rowseal.claims_pad');
    const secret = Buffer.from(keys[0]?.secret ?? []);
    const pads = [0x36, 0x5c].map((pad) => Buffer.alloc(64, pad).map((byte, index) => byte ^ (secret[index] ?? 0)));
    for (const bytes of [secret, ...pads]) for (const encoding of ['hex', 'base64'] as const) expect(sent.join()).not.toContain(Buffer.from(bytes).toString(encoding).slice(0, 20));
  });
});

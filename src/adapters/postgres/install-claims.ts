// Installs what checks signed claims under a role of its own, once a version, and keeps the keys there equal to the Secret's.
import { createHash } from 'node:crypto';
import { RowsealError } from '../../model/errors.ts';
import type { ClaimsConfiguration } from '../../model/claims.ts';
import type { ClaimsKey } from '../../model/claims-token.ts';
import type { ClaimsDatabase, InstalledClaims } from '../../ports/claims-database.ts';
import { claimsObjects } from './claims-functions.ts';
import { errorCodeOf, statementError } from './database-error.ts';
import { explainPlainClaims } from './explain-plain-claims.ts';
import { asCreatedSql } from './own-functions.ts';
import { quoteLiteral, quoteName } from './quote.ts';
import type { RunQuery, Session } from './session.ts';

export interface ClaimsParts {
  readonly session: Pick<Session, 'transaction'>;
  readonly claims: ClaimsConfiguration;
}

const hmacBlockBytes = 64;
const innerPad = 0x36;
const outerPad = 0x5c;

export function createClaimsDatabase(parts: ClaimsParts): ClaimsDatabase {
  return {
    install: async (keys, signal) => {
      await installClaims(parts, signal);
      return inOneTransaction(parts, 'installing the keys of signed claims', signal, async (query) => {
        const owner = await ownerName(query);
        await query(`set local role ${quoteName(owner)}`);
        await settleKeys(query, keys);
        await query('reset role');
        return { readers: await readersOf(query, owner) } satisfies InstalledClaims;
      });
    },
  };
}

/** What policies under signed claims call, which believes nobody while there is no key; and `rowseal.explain_claims()` for claims of every type. */
export async function installClaims({ session, claims }: ClaimsParts, signal: AbortSignal): Promise<void> {
  await inOneTransaction({ session }, 'installing what explains claims', signal, async (query) => {
    const server = await readServer(query);
    const signed = claims.type === 'Signed' ? claims : undefined;
    const objects = claims.type === 'Signed' ? claimsObjects({ ...server, ...claims }) : explainPlainClaims(claims, server.versionNumber);
    const version = `rowseal claims ${createHash('sha256').update(objects.join('\n')).digest('hex')}`;
    const owner = await ownerName(query);
    if (await standsAs(query, { version, objects, ...(signed === undefined ? {} : { owner }) })) return;
    await query('create schema if not exists rowseal');
    await query('grant usage on schema rowseal to public');
    // It belongs to whoever the last type of claims gave it to; the schema's owner may drop it in any case.
    await query('drop function if exists rowseal.explain_claims(text, text)');
    if (signed === undefined) for (const statement of objects) await query(statement);
    else await installSigned(query, objects, { server, owner, seesSessions: signed.bind === 'Session' });
    await query(`comment on function rowseal.explain_claims(text, text) is ${quoteLiteral(version)}`);
    await query('reset role');
    if (signed !== undefined) await query(`revoke create on schema rowseal from ${quoteName(owner)}`);
    // If we die before this commits, nothing is there and the restart installs it; after it, the comment says so.
  });
}

/** Whether installing would change nothing. `owner` is that of the keys, where there are to be some. */
async function standsAs(query: RunQuery, { version, objects, owner }: { readonly version: string; readonly objects: readonly string[]; readonly owner?: string }): Promise<boolean> {
  const [row] = await query<{ version: string | null; intact: boolean; hidden: boolean }>(
    `select obj_description(to_regprocedure('rowseal.explain_claims(text, text)'), 'pg_proc') as version, ${asCreatedSql(objects)} as intact,
            exists (select from pg_class c join pg_roles r on r.oid = c.relowner
              where c.oid = to_regclass('rowseal.claims_key') and c.relrowsecurity and r.rolname = $1 and not r.rolcanlogin) as hidden`,
    [owner ?? ''],
  );
  return row?.version === version && row.intact && (owner === undefined || row.hidden);
}

/** Leaves the session acting as the owner. */
async function installSigned(query: RunQuery, objects: readonly string[], { server, owner, seesSessions }: { readonly server: Server; readonly owner: string; readonly seesSessions: boolean }): Promise<void> {
  await settleOwner(query, owner, server);
  if (seesSessions) await letSeeSessions(query, owner);
  // Creating needs the right for the moment only.
  await query(`grant usage, create on schema rowseal to ${quoteName(owner)}`);
  await query(`set local role ${quoteName(owner)}`);
  for (const statement of objects) await query(statement);
}

interface Server {
  readonly versionNumber: number;
  readonly systemIdentifier: string;
  readonly encoding: string;
  readonly user: string;
}

async function readServer(query: RunQuery): Promise<Server> {
  const [row] = await query<Server>(
    `select current_setting('server_version_num')::int as "versionNumber", (select system_identifier::text from pg_control_system()) as "systemIdentifier", getdatabaseencoding()::text as encoding, current_user::text as user`,
  );
  if (row === undefined) throw new RowsealError('DatabaseStatement', 'the server does not say who it is', { retryable: true });
  return row;
}

/** Roles belong to the whole cluster, so each database has its own: the operator of one must not read the keys of another. */
async function ownerName(query: RunQuery): Promise<string> {
  const [row] = await query<{ name: string }>(`select 'rowseal_claims_' || oid as name from pg_database where datname = current_database()`);
  return row?.name ?? '';
}

/** A role that nobody logs in as; ours becomes a member, since it holds the keys anyway. */
async function settleOwner(query: RunQuery, owner: string, { versionNumber, user }: Server): Promise<void> {
  const name = quoteName(owner);
  const may = versionNumber >= 160_000 ? 'SET' : 'MEMBER';
  const [role] = await query<{ may: boolean; login: boolean }>(`select pg_has_role(current_user, oid, '${may}') as may, rolcanlogin as login from pg_roles where rolname = $1`, [owner]);
  const [us] = await query<{ superuser: boolean }>('select rolsuper as superuser from pg_roles where rolname = current_user');
  try {
    if (role === undefined) await query(`create role ${name} nologin`);
    if (role?.login === true) await query(`alter role ${name} nologin password null`);
    // Inheriting would give our own session the keys without SET ROLE. Before 16 the role's own INHERIT decides.
    if (role?.may !== true && us?.superuser !== true) await query(`grant ${name} to ${quoteName(user)}${versionNumber >= 160_000 ? ' with inherit false, set true' : ''}`);
  } catch (error) {
    if (errorCodeOf(error) !== '42501') throw error;
    const sql = `${role === undefined ? `CREATE ROLE ${name} NOLOGIN; ` : ''}GRANT ${name} TO ${quoteName(user)}`;
    throw new RowsealError('DatabasePrivilege', 'our role may not make the role that owns the keys of signed claims', { object: `role ${owner}`, next: `let a superuser run: ${sql}`, cause: error });
  }
}

/** When a session began is hidden from other roles, and the check runs as the keys' owner. */
async function letSeeSessions(query: RunQuery, owner: string): Promise<void> {
  const [row] = await query<{ sees: boolean }>(`select pg_has_role($1, 'pg_read_all_stats', 'USAGE') as sees`, [owner]);
  if (row?.sees === true) return;
  try {
    await query(`grant pg_read_all_stats to ${quoteName(owner)}`);
  } catch (error) {
    if (errorCodeOf(error) !== '42501') throw error;
    throw new RowsealError('DatabasePrivilege', 'claims bound to a session need to know when the session began', {
      object: `role ${owner}`,
      next: `let a superuser run: GRANT pg_read_all_stats TO ${quoteName(owner)}; or set spec.claims.signed.bind to Transaction`,
      cause: error,
    });
  }
}

/** Run as the keys' owner. Unchanged keys are only compared. */
async function settleKeys(query: RunQuery, keys: readonly ClaimsKey[]): Promise<void> {
  const stale = await query<{ id: string }>('select id from rowseal.claims_key where not (id = any ($1::text[]))', [keys.map((key) => key.id)]);
  if (stale.length > 0) await query('delete from rowseal.claims_key where not (id = any ($1::text[]))', [keys.map((key) => key.id)]);
  for (const key of keys) {
    const hidden = [key.id, await hide(query, key)];
    const pad = (byte: number) => `rowseal.claims_pad(decode($2, 'hex'), decode(current_setting('rowseal.key_mask'), 'hex'), ${byte})`;
    const [same] = await query<{ same: boolean }>(`select inner_pad = ${pad(innerPad)} and outer_pad = ${pad(outerPad)} as same from rowseal.claims_key where id = $1`, hidden);
    if (same?.same === true) continue;
    await query(
      `insert into rowseal.claims_key (id, inner_pad, outer_pad) values ($1, ${pad(innerPad)}, ${pad(outerPad)})
         on conflict (id) do update set inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad`,
      hidden,
    );
  }
  await query(`select set_config('rowseal.key_mask', '', true)`);
}

/**
 * The key as hexadecimal digits under a mask that only the server and this session know: a server that logs statements and
 * their parameters would otherwise log the key. One mask for each, or two masked keys would tell their difference.
 */
async function hide(query: RunQuery, key: ClaimsKey): Promise<string> {
  const random = `sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))`;
  const [row] = await query<{ mask: string }>(`select set_config('rowseal.key_mask', encode(${random} || ${random}, 'hex'), true) as mask`);
  const mask = Buffer.from(row?.mask ?? '', 'hex');
  const block = Buffer.alloc(hmacBlockBytes);
  block.set(key.secret);
  return Buffer.from(block.map((byte, index) => byte ^ (mask[index] ?? 0))).toString('hex');
}

/** Members of the owner; before 16 also whoever may create roles, since that made anybody a member of anything. */
async function readersOf(query: RunQuery, owner: string): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(
    `select r.rolname::text as name from pg_roles r
      where not r.rolsuper and r.rolname <> $1
        and (pg_has_role(r.oid, $1, 'MEMBER') or (r.rolcreaterole and current_setting('server_version_num')::int < 160000)
             or (r.rolbypassrls and has_table_privilege(r.oid, 'rowseal.claims_key', 'SELECT')))
      order by 1`,
    [owner],
  );
  return rows.map((row) => row.name);
}

async function inOneTransaction<T>({ session }: Pick<ClaimsParts, 'session'>, doing: string, signal: AbortSignal, action: (query: RunQuery) => Promise<T>): Promise<T> {
  try {
    return await session.transaction(action, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw statementError(error, doing, 'schema rowseal');
  }
}

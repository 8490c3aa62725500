// The probe: a login role that may become the tested roles and nothing else, so that what a user wrote is never evaluated as us.
import type pg from 'pg';
import { RowsealError } from '../../model/errors.ts';
import type { Randomness } from '../../ports/clock.ts';
import type { ServerFacts } from '../../ports/database.ts';
import { connectClient, endClient, wireOf } from './connection.ts';
import { describeTarget, errorCodeOf, statementError } from './database-error.ts';
import { createMutex } from './mutex.ts';
import { quoteLiteral, quoteName } from './quote.ts';
import { scramVerifier } from './scram-verifier.ts';
import type { RunQuery, Session } from './session.ts';

export interface Probe {
  /**
   * Runs the action on a fresh connection of the probe role, which may SET ROLE to these roles. One at a time.
   * Throws DatabasePrivilege when our role may not make the probe role, saying which SQL helps.
   */
  use<T>(roles: readonly string[], action: (query: RunQuery) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Takes the memberships and the login away again. */
  close(signal: AbortSignal): Promise<void>;
}

export interface ProbeOptions {
  readonly session: Pick<Session, 'target' | 'transaction'>;
  readonly facts: ServerFacts;
  readonly randomness: Randomness;
}

const useDeadlineMs = 60_000;

/** Roles belong to the whole cluster, so each database has its own probe: two operators would otherwise take it from each other. */
const nameQuery = `select 'rowseal_probe_' || oid as name from pg_catalog.pg_database where datname = current_database()`;

export function createProbe(options: ProbeOptions): Probe {
  const { session, randomness } = options;
  const password = Buffer.from(randomness.bytes(32)).toString('base64url');
  const verifier = scramVerifier(password, randomness.bytes(16));
  const mutex = createMutex();
  /** Roles granted so far; undefined until the first use, when leftovers of an earlier process are taken away. */
  let granted: ReadonlySet<string> | undefined;
  let name = '';

  const prepare = async (roles: readonly string[], signal: AbortSignal): Promise<void> => {
    if (granted !== undefined && roles.every((role) => granted?.has(role))) return;
    const wanted = new Set([...(granted ?? []), ...roles]);
    const fresh = granted === undefined;
    granted = undefined;
    name = await session.transaction((query) => makeProbeRole(query, { options, wanted, verifier: fresh ? verifier : undefined }), signal);
    // If we die here, the role keeps a password that nobody knows; the next process sets its own and revokes what it does not need.
    granted = wanted;
  };

  return {
    use: (roles, action, signal) =>
      mutex.run(async () => {
        await prepare(roles, signal).catch((error: unknown) => {
          throw unavailable(error, options, roles);
        });
        const client = await connectClient({ ...session.target, user: name, password }, { purpose: 'probe' }, signal).catch((error: unknown) => {
          // Somebody may have changed or dropped the role: the next use makes it anew.
          granted = undefined;
          throw error;
        });
        // The server's own limits come first; this one is for a server or network that is silent.
        const end = AbortSignal.any([signal, AbortSignal.timeout(useDeadlineMs)]);
        const cut = () => wireOf(client).stream.destroy(new Error('the connection was given up'));
        end.addEventListener('abort', cut, { once: true });
        try {
          return await action(probeQuery(client, signal));
        } finally {
          end.removeEventListener('abort', cut);
          await endClient(client);
        }
      }, signal),
    close: async (signal) => {
      if (name === '') return;
      await session.transaction((query) => retireProbeRole(query, name), signal);
      granted = undefined;
    },
  };
}

interface MakeOptions {
  readonly options: ProbeOptions;
  readonly wanted: ReadonlySet<string>;
  readonly verifier: string | undefined;
}

async function makeProbeRole(query: RunQuery, { options, wanted, verifier }: MakeOptions): Promise<string> {
  const [row] = await query<{ name: string }>(nameQuery);
  const role = quoteName(row?.name ?? '');
  const [known] = await query<{ exists: boolean; create: boolean }>(
    `select true as exists, has_database_privilege(oid, current_database(), 'CREATE') as create from pg_catalog.pg_roles where rolname = $1`,
    [row?.name],
  );
  if (known === undefined) await query(`create role ${role} login noinherit`);
  // Nobody needs more than a connection of ours and one that is being closed.
  if (verifier !== undefined) await query(`alter role ${role} login noinherit connection limit 4 password ${quoteLiteral(verifier)}`);
  if (known?.create !== true) await query(`grant connect, create on database ${quoteName(options.facts.database)} to ${role}`);
  const members = await memberships(query, row?.name ?? '');
  for (const other of members) if (!wanted.has(other)) await query(`revoke ${quoteName(other)} from ${role}`);
  for (const other of wanted) {
    // INHERIT FALSE: without SET ROLE the probe has none of the role's rights. Before 16 the role's NOINHERIT says so.
    if (!members.includes(other)) await query(`grant ${quoteName(other)} to ${role}${options.facts.versionNumber >= 160000 ? ' with inherit false, set true' : ''}`);
  }
  return row?.name ?? '';
}

async function retireProbeRole(query: RunQuery, name: string): Promise<void> {
  for (const role of await memberships(query, name)) await query(`revoke ${quoteName(role)} from ${quoteName(name)}`);
  await query(`alter role ${quoteName(name)} nologin password null`);
}

async function memberships(query: RunQuery, name: string): Promise<readonly string[]> {
  const rows = await query<{ role: string }>(
    `select distinct g.rolname::text as role from pg_catalog.pg_auth_members m
       join pg_catalog.pg_roles g on g.oid = m.roleid join pg_catalog.pg_roles p on p.oid = m.member where p.rolname = $1`,
    [name],
  );
  return rows.map((row) => row.role);
}

function probeQuery(client: pg.Client, signal: AbortSignal): RunQuery {
  return async <Row extends object>(text: string, values?: readonly unknown[]) => {
    signal.throwIfAborted();
    const result = await (values === undefined ? client.query<Row>(text) : client.query<Row>(text, [...values]));
    return result.rows;
  };
}

function unavailable(error: unknown, { session, facts }: ProbeOptions, roles: readonly string[]): RowsealError {
  const object = describeTarget(session.target);
  if (errorCodeOf(error) !== '42501') return statementError(error, 'preparing the probe role', object);
  const us = quoteName(facts.user);
  const admin = roles.map((role) => `GRANT ${quoteName(role)} TO ${us} WITH ADMIN OPTION`);
  const sql = [`ALTER ROLE ${us} CREATEROLE`, `GRANT CONNECT, CREATE ON DATABASE ${quoteName(facts.database)} TO ${us} WITH GRANT OPTION`, ...admin].join('; ');
  return new RowsealError('DatabasePrivilege', 'tests cannot run: our role may not prepare the probe role', { object, next: `let a superuser run: ${sql}`, cause: error });
}

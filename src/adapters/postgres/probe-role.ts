// The probe's role as SQL: made, looked over before every use, and taken away again. It is a member of the tested roles and of nothing else.
import { RowsealError } from '../../model/errors.ts';
import type { ServerFacts } from '../../ports/database.ts';
import { quoteLiteral, quoteName } from './quote.ts';
import type { RunQuery } from './run-query.ts';

/** What a probe has to know of its server. */
export type ProbeFacts = Pick<ServerFacts, 'user' | 'database' | 'versionNumber'>;

export interface ProbeRole {
  readonly name: string;
  readonly facts: ProbeFacts;
  /** What pg_authid keeps of the password. */
  readonly verifier: string;
  /** Whether the role has this process's password already. */
  readonly known: boolean;
  /** Roles it may become. */
  readonly wanted: ReadonlySet<string>;
}

/** A process that dies leaves a login whose password nobody knows; after this time nobody could use it even then. */
const validHours = 24;

interface RoleState {
  readonly login: boolean;
  readonly fresh: boolean;
  readonly attributes: readonly string[] | null;
  readonly connect: boolean;
  readonly temporary: boolean;
}

interface Membership {
  readonly role: string;
  readonly grantor: string;
  /** With ADMIN or INHERIT: more than SET ROLE. */
  readonly wide: boolean;
}

/** Inside a transaction. Throws PostgreSQL's own error where our role may not, and DatabasePrivilege where somebody else's grant stays. */
export async function settleProbeRole(query: RunQuery, role: ProbeRole): Promise<void> {
  const name = quoteName(role.name);
  if ((await stateOf(query, role.name)) === undefined) await query(`create role ${name} login noinherit`);
  const state = await stateOf(query, role.name);
  const unwanted = state?.attributes ?? [];
  if (unwanted.length > 0) await query(`alter role ${name} ${unwanted.map((attribute) => `no${attribute}`).join(' ')}`);
  if (!role.known || state?.fresh !== true || !state.login) {
    // Nobody needs more than a connection of ours, one that is being closed, and one that ends a runaway.
    await query(`alter role ${name} login connection limit 4 password ${quoteLiteral(role.verifier)} valid until ${quoteLiteral(await validUntil(query))}`);
  }
  const database = quoteName(role.facts.database);
  if (state?.connect !== true) await query(`grant connect on database ${database} to ${name}`);
  if (state?.temporary !== true) await query(`grant temporary on database ${database} to ${name}`);
  await settleMemberships(query, role);
}

/** Nothing where there is nothing to take away. */
export async function retireProbeRole(query: RunQuery, name: string, facts: ProbeFacts): Promise<void> {
  for (const membership of await membershipsOf(query, name, facts)) await revoke(query, name, membership, facts);
  if ((await stateOf(query, name))?.login === true) await query(`alter role ${quoteName(name)} nologin password null`);
}

export async function dropProbeRole(query: RunQuery, name: string, facts: ProbeFacts): Promise<void> {
  if ((await stateOf(query, name)) === undefined) return;
  await query(`revoke connect, temporary on database ${quoteName(facts.database)} from ${quoteName(name)}`);
  await query(`drop role ${quoteName(name)}`);
}

/** Temporary probe roles of command lines that were killed: their password has expired. */
export async function expiredProbeRoles(query: RunQuery, prefix: string): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(
    `select rolname::text as name from pg_catalog.pg_roles where starts_with(rolname::text, $1) and rolvaliduntil < now()`,
    [prefix],
  );
  return rows.map((row) => row.name);
}

async function validUntil(query: RunQuery): Promise<string> {
  const [row] = await query<{ until: string }>(`select (now() + interval '${validHours} hours')::text as until`);
  return row?.until ?? '';
}

async function stateOf(query: RunQuery, name: string): Promise<RoleState | undefined> {
  const [row] = await query<RoleState>(
    `select rolcanlogin as login, coalesce(rolvaliduntil > now() + interval '1 hour', false) as fresh,
            array_remove(array[case when rolsuper then 'superuser' end, case when rolbypassrls then 'bypassrls' end, case when rolcreaterole then 'createrole' end,
                         case when rolcreatedb then 'createdb' end, case when rolreplication then 'replication' end, case when rolinherit then 'inherit' end], null) as attributes,
            has_database_privilege(oid, current_database(), 'CONNECT') as connect, has_database_privilege(oid, current_database(), 'TEMPORARY') as temporary
       from pg_catalog.pg_roles where rolname = $1`,
    [name],
  );
  return row;
}

async function settleMemberships(query: RunQuery, role: ProbeRole): Promise<void> {
  const before = await membershipsOf(query, role.name, role.facts);
  for (const membership of before) if (membership.wide || !role.wanted.has(membership.role)) await revoke(query, role.name, membership, role.facts);
  const kept = await membershipsOf(query, role.name, role.facts);
  const stays = kept.find((membership) => membership.wide || !role.wanted.has(membership.role));
  if (stays !== undefined) throw foreignGrant(role.name, stays);
  for (const other of role.wanted) {
    if (kept.some((membership) => membership.role === other)) continue;
    // INHERIT FALSE: without SET ROLE the probe has none of the role's rights. Before 16 the role's NOINHERIT says so.
    await query(`grant ${quoteName(other)} to ${quoteName(role.name)}${hasGrantOptions(role.facts) ? ' with inherit false, set true' : ''}`);
  }
}

function foreignGrant(name: string, { role, grantor }: Membership): RowsealError {
  return new RowsealError('DatabasePrivilege', `somebody made the probe role ${name} a member of ${role}, so nothing is evaluated as it`, {
    object: `role ${name}`,
    next: `let ${grantor} or a superuser run: REVOKE ${quoteName(role)} FROM ${quoteName(name)} GRANTED BY ${quoteName(grantor)}`,
  });
}

async function membershipsOf(query: RunQuery, name: string, facts: ProbeFacts): Promise<readonly Membership[]> {
  return query<Membership>(
    `select g.rolname::text as role, coalesce(b.rolname::text, '') as grantor, m.admin_option${hasGrantOptions(facts) ? ' or m.inherit_option' : ''} as wide
       from pg_catalog.pg_auth_members m join pg_catalog.pg_roles g on g.oid = m.roleid
       join pg_catalog.pg_roles p on p.oid = m.member left join pg_catalog.pg_roles b on b.oid = m.grantor where p.rolname = $1 order by 1, 2`,
    [name],
  );
}

/** Since 16 several grantors may have granted the same; before, any of them is revoked with the one. */
async function revoke(query: RunQuery, name: string, { role, grantor }: Membership, facts: ProbeFacts): Promise<void> {
  await query(`revoke ${quoteName(role)} from ${quoteName(name)}${hasGrantOptions(facts) ? ` granted by ${quoteName(grantor)}` : ''}`);
}

function hasGrantOptions(facts: ProbeFacts): boolean {
  return facts.versionNumber >= 160_000;
}

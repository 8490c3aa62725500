// Finds out why a role sees which rows: flags, rights and policies from the catalog, and each expression tried on copies of the rows.
import { RowsealError } from '../../model/errors.ts';
import { type ExplainedCommand, type ExplainedPolicy, type ExplainedRole, type Explanation, summarize } from '../../policy/explanation.ts';
import type { ObservedPolicy, ObservedTable } from '../../policy/observed.ts';
import { describeTable, sameTable } from '../../policy/table-name.ts';
import type { CommandTools } from './command-session.ts';
import { errorCodeOf, sayable } from './database-error.ts';
import { type ExplainRequest, valueAt } from './explain-request.ts';
import { type Trying, tryPolicies } from './explain-rows.ts';
import { readsOf } from './expression-reads.ts';
import { observe } from './observe.ts';
import { tablesOfSql } from './retarget-sql.ts';
import type { RunQuery } from './run-query.ts';

/** Throws DatabaseObjectMissing for a table or role that is not there. */
export async function explain(tools: CommandTools, request: ExplainRequest, signal: AbortSignal): Promise<Explanation> {
  const { table, role } = await tools.session.exclusively((query) => lookUp(query, request), signal);
  const policies = await Promise.all(table.policies.map((policy) => explainPolicy(policy, { request, table, memberOf: role.memberOf })));
  const { memberOf: _dropped, ...known } = role;
  const found = { table: table.table, command: request.command, role: known, owner: table.owner, rowSecurity: table.rowSecurity, forced: table.forced };
  const tried = await tryOut(tools, { request, table, policies }, signal);
  const all = { ...found, policies: tried.policies, ...(tried.rows === undefined ? {} : { rows: tried.rows }), ...(tried.notCounted === undefined ? {} : { notCounted: tried.notCounted }) };
  return { ...all, summary: summarize(all) };
}

interface RoleRow extends ExplainedRole {
  /** Roles whose rights it has without SET ROLE, and those it could only become. */
  readonly memberOf: Readonly<Record<string, boolean>>;
}

async function lookUp(query: RunQuery, { table: name, role: roleName, command }: ExplainRequest): Promise<{ table: ObservedTable; role: RoleRow }> {
  const observation = await observe(query, { owner: '', tables: [name], roles: [] });
  const table = observation.tables.find((each) => sameTable(each.table, name));
  if (table === undefined) throw missing('table', describeTable(name));
  if (table.relationKind !== 'r' && table.relationKind !== 'p') {
    throw new RowsealError('BadUsage', `${describeTable(name)} is no table, so no policy is on it`, { next: 'explain the tables it reads; a view reads as its owner unless security_invoker is set' });
  }
  const [role] = await query<RoleRow>(
    `select r.rolname::text as name, r.rolsuper as superuser, r.rolbypassrls as "bypassesRowSecurity", pg_has_role(r.oid, c.relowner, 'USAGE') as owns,
            has_schema_privilege(r.oid, c.relnamespace, 'USAGE') as "schemaUsage",
            case when $3 = 'DELETE' then has_table_privilege(r.oid, c.oid, $3) else has_any_column_privilege(r.oid, c.oid, $3) end as privilege,
            coalesce((select json_object_agg(m.rolname, pg_has_role(r.oid, m.oid, 'USAGE')) from pg_catalog.pg_roles m where pg_has_role(r.oid, m.oid, 'MEMBER')), '{}') as "memberOf"
       from pg_catalog.pg_roles r, pg_catalog.pg_class c where r.rolname = $1 and c.oid = $2::int8::oid`,
    [roleName, table.oid, command.toUpperCase()],
  );
  if (role === undefined) throw missing('role', roleName);
  return { table, role };
}

interface Explaining {
  readonly request: ExplainRequest;
  readonly table: ObservedTable;
  readonly memberOf: Readonly<Record<string, boolean>>;
}

async function explainPolicy({ name, as, command, roles, using, check }: ObservedPolicy, { request, table, memberOf }: Explaining): Promise<ExplainedPolicy> {
  const expression = request.command === 'Insert' ? (check ?? using) : using;
  const notFor = notForCommand(command, request.command) ?? notForRole(roles, request.role, memberOf);
  const head = { name, as, command, roles, ...(expression === undefined ? {} : { expression }) };
  if (notFor !== undefined) return { ...head, notFor, notes: [] };
  if (expression === undefined) return { ...head, notes: ['it has no expression for this command'] };
  const recursion = (await tablesOfSql(expression)).some((read) => sameTable(read, table.table));
  const notes = await sessionNotes(expression, request);
  return { ...head, notes, ...(recursion && table.rowSecurity ? { fails: 'it reads its own table, and PostgreSQL answers "infinite recursion detected in policy"' } : {}) };
}

function notForCommand(own: ObservedPolicy['command'], asked: ExplainedCommand): string | undefined {
  return own === 'All' || own === asked ? undefined : `it is for ${own} only`;
}

function notForRole(roles: readonly string[], role: string, memberOf: Readonly<Record<string, boolean>>): string | undefined {
  if (roles.includes('PUBLIC') || roles.some((name) => memberOf[name] === true)) return undefined;
  const reachable = roles.find((name) => memberOf[name] === false);
  return reachable === undefined ? `it is for ${roles.join(', ')}` : `it is for ${reachable}, whose rights ${role} does not inherit: SET ROLE ${reachable} would do`;
}

/** What the expression reads of the session and does not find there. */
async function sessionNotes(expression: string, { claims, settings, way }: ExplainRequest): Promise<readonly string[]> {
  const reads = await readsOf(expression);
  const claimsSetting = way.type === 'Role' ? undefined : way.setting;
  const empty = reads.settings.filter((name) => name !== claimsSetting && (settings[name] ?? '') === '').map((name) => `the setting ${name} is empty`);
  const asked = reads.claims.filter(({ setting, signed }) => signed || setting === claimsSetting);
  const [first] = asked;
  if (first !== undefined && claims === undefined) return [...empty, `the session has no claims (${first.setting} is empty)`];
  const absent = asked.filter(({ path }) => valueAt(claims, path) === undefined).map(({ path }) => `the claim ${path.join('.')} is missing`);
  return [...empty, ...absent];
}

type Tried = Pick<Explanation, 'policies' | 'rows' | 'notCounted'>;

/** Without the right to make a probe role everything is said but the counts. */
async function tryOut(tools: CommandTools, trying: Trying, signal: AbortSignal): Promise<Tried> {
  try {
    return await tryPolicies(tools, trying, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RowsealError && error.code !== 'DatabasePrivilege') throw error;
    if (!(error instanceof RowsealError) && errorCodeOf(error) === undefined) throw error;
    return { policies: trying.policies, notCounted: error instanceof RowsealError ? error.describe() : sayable(error) };
  }
}

function missing(kind: string, name: string): RowsealError {
  return new RowsealError('DatabaseObjectMissing', `${kind} ${name} does not exist`, { object: `${kind} ${name}`, next: 'correct its name' });
}

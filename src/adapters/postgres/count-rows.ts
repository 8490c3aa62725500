// How many rows each role gains and loses by a plan, row by row and not as a difference of counts (DESIGN §3, issue of plans).
import { everyRole } from '../../policy/desired.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import { describeTable, sameTable } from '../../policy/table-name.ts';
import { stateAfter } from '../../policy/table-state.ts';
import type { RowChange, RowCountRequest, RowCounts } from '../../ports/policy-database.ts';
import { RowsealError } from '../../model/errors.ts';
import { errorCodeOf, sayable } from './database-error.ts';
import { type Actor, asActor, statementLimitSeconds } from './evaluate.ts';
import { rehearse, type RehearsalOptions, type Stage, type When } from './rehearsal.ts';
import { onCopy } from './retarget.ts';
import type { RunQuery } from './run-query.ts';
import { rowIds } from './scratch.ts';
import { onCopiesAs } from './tested-claims.ts';
import { testableRoles } from './testable-roles.ts';

const mostTables = 8;
const mostRoles = 16;

/** Never throws for what a table, a role or an expression is: that is said in `notCounted`. */
export async function countRows(options: RehearsalOptions, request: RowCountRequest, signal: AbortSignal): Promise<RowCounts> {
  const notCounted: string[] = [];
  const refuse = (why: string) => void notCounted.push(why);
  try {
    const tables = countedTables(request, refuse);
    const roles = await countedRoles(options, { request, tables, refuse }, signal);
    if (tables.length === 0 || roles.length === 0) return { changes: [], notCounted };
    const { desired, observation, plan } = request;
    const action = (stage: Stage) => compare(stage, actors(request, roles, options), refuse);
    const changes = await rehearse(options, { desired, observation, steps: plan.steps, tables, roles }, { refuse, action }, signal);
    return { changes: changes ?? [], notCounted };
  } catch (error) {
    signal.throwIfAborted();
    refuse(reasonOf(error));
    return { changes: [], notCounted };
  }
}

/** The tables that the plan touches, partitions and children by their root. */
function countedTables({ plan, observation }: RowCountRequest, refuse: (why: string) => void): readonly ObservedTable[] {
  const touched = observation.tables.filter(({ table }) => plan.steps.some(({ operation }) => 'table' in operation && sameTable(operation.table, table)));
  const roots = touched.filter(({ parents }) => !parents.some((parent) => touched.some(({ table }) => sameTable(table, parent))));
  if (roots.length > mostTables) refuse(`${roots.length - mostTables} further tables`);
  return roots.slice(0, mostTables);
}

interface Counting {
  readonly request: RowCountRequest;
  readonly tables: readonly ObservedTable[];
  readonly refuse: (why: string) => void;
}

/** Roles of policies before and after, and of tests. For PUBLIC, those that were granted the table by name. */
async function countedRoles({ session }: RehearsalOptions, { request, tables, refuse }: Counting, signal: AbortSignal): Promise<readonly string[]> {
  const stated = tables.flatMap((table) => [...table.policies, ...stateAfter(table, request.plan.steps).policies]).flatMap((policy) => policy.roles);
  const names = new Set([...stated, ...request.tests.map((test) => test.as.role)]);
  if (names.delete(everyRole)) for (const role of await session.exclusively((query) => grantees(query, tables), signal)) names.add(role);
  const { against, ungrantable } = await session.exclusively(
    async (query) => ({ against: await testableRoles(query, [...names]), ungrantable: await notOurs(query, [...names]) }),
    signal,
  );
  for (const why of against.values()) refuse(why);
  const usable = [...names].filter((name) => !against.has(name)).sort();
  for (const name of usable.filter((each) => ungrantable.has(each))) refuse(`our role may not grant role ${name} to the probe`);
  const counted = usable.filter((name) => !ungrantable.has(name));
  if (counted.length > mostRoles) refuse(`${counted.length - mostRoles} further roles`);
  return counted.slice(0, mostRoles);
}

async function grantees(query: RunQuery, tables: readonly ObservedTable[]): Promise<readonly string[]> {
  const rows = await query<{ role: string }>(
    `select distinct r.rolname::text as role from pg_catalog.pg_class c, aclexplode(c.relacl) as a join pg_catalog.pg_roles r on r.oid = a.grantee
      where c.oid = any ($1::int8[]::oid[]) and a.privilege_type = 'SELECT' and r.oid <> c.relowner order by 1 limit ${mostRoles}`,
    [tables.map((table) => table.oid)],
  );
  return rows.map((row) => row.role);
}

/** Before 16 CREATEROLE is enough to grant any role that is no superuser. */
async function notOurs(query: RunQuery, names: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await query<{ role: string }>(
    `select rolname::text as role from pg_catalog.pg_roles where rolname = any ($1::text[]) and current_setting('server_version_num')::int >= 160000
        and not pg_has_role(current_user, oid, 'MEMBER WITH ADMIN OPTION')`,
    [names],
  );
  return new Set(rows.map((row) => row.role));
}

interface Named {
  readonly actor: Actor;
  readonly test?: string;
}

/** Each role without claims, and with those of each test that acts as it. */
function actors({ tests }: RowCountRequest, roles: readonly string[], { claims }: RehearsalOptions): readonly Named[] {
  return roles.flatMap((role) => [
    { actor: onCopiesAs(role, undefined, claims) },
    ...tests.filter((test) => test.as.role === role).map((test) => ({ actor: onCopiesAs(role, test.as.claims ?? {}, claims), test: test.name })),
  ]);
}

async function compare(stage: Stage, named: readonly Named[], refuse: (why: string) => void): Promise<readonly RowChange[]> {
  const look = async (when: When) => stage.under(when, (query) => sightings(query, { stage, named, when }));
  const before = await look('Now');
  const after = await look('Then');
  const changes: RowChange[] = [];
  for (const [index, { actor, test }] of named.entries()) {
    for (const [column, table] of stage.tables.entries()) {
      const [was = '', is = ''] = [before[index]?.[column], after[index]?.[column]];
      const why = [was, is].find((sighting) => typeof sighting === 'string');
      if (typeof was === 'string' || typeof is === 'string') refuse(`role ${actor.role} on ${describeTable(table.table)}: ${String(why)}`);
      else changes.push({ table: describeTable(table.table), role: actor.role, ...(test === undefined ? {} : { test }), gained: countMissing(is, was), lost: countMissing(was, is) });
    }
  }
  return changes;
}

function countMissing(from: ReadonlySet<string>, other: ReadonlySet<string>): number {
  return [...from].filter((id) => !other.has(id)).length;
}

/** Which rows are seen, or why that could not be found out. */
type Sighting = ReadonlySet<string> | string;

/** By actor and table. */
async function sightings(query: RunQuery, { stage, named, when }: { readonly stage: Stage; readonly named: readonly Named[]; readonly when: When }): Promise<readonly (readonly Sighting[])[]> {
  const all: (readonly Sighting[])[] = [];
  for (const { actor } of named) {
    const row: Sighting[] = [];
    for (const table of stage.tables) row.push(await seen(query, { stage, actor, table, when }));
    all.push(row);
  }
  return all;
}

interface Sight {
  readonly stage: Stage;
  readonly actor: Actor;
  readonly table: ObservedTable;
  readonly when: When;
}

async function seen(query: RunQuery, { stage, actor, table, when }: Sight): Promise<Sighting> {
  const standing = stage.standing(actor.role, table, when);
  if (standing !== 'Bound') return standing === 'SeesAll' ? stage.rowsOf(table) : new Set();
  try {
    return new Set(await asActor(query, actor, () => rowIds(query, onCopy(table))));
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === '57014') return `it took longer than ${statementLimitSeconds} s`;
    if (code === '25006') return 'its policies write, which is not tried out';
    // A query that fails shows nothing; a connection that was lost is no answer.
    if (code === undefined || code.startsWith('57')) throw error;
    return new Set();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof RowsealError) return error.describe();
  if (error instanceof Error && error.name === 'TimeoutError') return 'counting took too long';
  return `counting failed: ${sayable(error)}`;
}

// What the grants of a DatabaseConnection let the objects of a namespace ask for (DESIGN §3, DatabaseConnection).
import type { DatabaseConnectionSpec, ObjectKey } from '../model/kinds.ts';

type Grant = NonNullable<DatabaseConnectionSpec['grants']>[number];
export type Right = NonNullable<Grant['rights']>[number];

export interface GrantRequest {
  readonly kind: 'RowPolicy' | 'AuditPolicy';
  /** Of the object that asks. */
  readonly namespace: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly schema: string;
  readonly tables: readonly string[];
  readonly roles: readonly string[];
  readonly rights: readonly Right[];
}

export type GrantDecision = { readonly granted: true } | { readonly granted: false; readonly missing: string };

/** Whether everything asked for is granted; else a sentence that names what is missing. Grants add up, each table and role by itself. */
export function decideGrant(connection: { readonly key: ObjectKey; readonly grants: DatabaseConnectionSpec['grants'] }, request: GrantRequest): GrantDecision {
  const grants = connection.grants ?? [ownNamespaceGrant];
  const applicable = grants.filter((grant) => reachesNamespace(grant, connection.key.namespace, request) && covers(grant.kinds, request.kind));
  const name = `DatabaseConnection ${connection.key.namespace}/${connection.key.name}`;
  if (applicable.length === 0) return refused(`${name} grants nothing to a ${request.kind} of namespace ${request.namespace}`);
  const inSchema = applicable.filter((grant) => covers(grant.schemas, request.schema));
  if (inSchema.length === 0) return refused(`${name} does not grant schema ${request.schema} to namespace ${request.namespace}`);
  for (const table of request.tables) {
    const decision = decideTable(inSchema.filter((grant) => covers(grant.tables, table)), table, { name, request });
    if (!decision.granted) return decision;
  }
  return { granted: true };
}

/** Without any grant: the own namespace, everything, and Widen; SQL always needs a grant. */
const ownNamespaceGrant: Grant = { name: 'own-namespace', namespaces: { from: 'Same' }, rights: ['Widen'] };

/** Roles and rights are judged per table: what one grant gives on one table does not leak to another table. */
function decideTable(grants: readonly Grant[], table: string, { name, request }: { readonly name: string; readonly request: GrantRequest }): GrantDecision {
  const where = `on table ${request.schema}.${table} to namespace ${request.namespace}`;
  if (grants.length === 0) return refused(`${name} does not grant table ${request.schema}.${table} to namespace ${request.namespace}`);
  const role = request.roles.find((candidate) => !grants.some((grant) => covers(grant.roles, candidate)));
  if (role !== undefined) return refused(`${name} does not grant role ${role} ${where}`);
  for (const right of request.rights) {
    // A right goes with the roles of its own grant: Widen for one role is no Widen for another.
    const uncovered = [undefined, ...request.roles].find((candidate) => !grants.some((grant) => gives(grant, right) && (candidate === undefined || covers(grant.roles, candidate))));
    const lacks = uncovered !== undefined || !grants.some((grant) => gives(grant, right));
    if (lacks) return refused(`${name} does not grant the right ${right} ${uncovered === undefined ? '' : `for role ${uncovered} `}${where}`);
  }
  return { granted: true };
}

function gives(grant: Grant, right: Right): boolean {
  return grant.rights?.includes(right) ?? false;
}

/** A list that is left out covers everything. */
function covers(list: readonly string[] | undefined, item: string): boolean {
  return list === undefined || list.includes(item);
}

function reachesNamespace(grant: Grant, own: string, request: GrantRequest): boolean {
  switch (grant.namespaces.from) {
    case 'All':
      return true;
    case 'Same':
      return request.namespace === own;
    case 'Selector':
      return Object.entries(grant.namespaces.selector?.matchLabels ?? {}).every(([label, value]) => request.namespaceLabels[label] === value) && grant.namespaces.selector !== undefined;
  }
}

function refused(missing: string): GrantDecision {
  return { granted: false, missing };
}

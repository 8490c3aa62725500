// A catalog prepared for questions: who holds which privilege, whom row security binds, what lies over a table.
import type { Catalog, CatalogFunction, CatalogPolicy, CatalogRelation, CatalogRole, Grant, Oid, PolicyCommand } from '../policy/catalog.ts';
import { closure, type RolePower, rolePower } from './role-power.ts';

export interface Landscape {
  readonly catalog: Catalog;
  readonly roles: RolePower;
  /** Tables under row security, extensions' left out. */
  readonly guarded: readonly CatalogRelation[];
  /** Relations that no extension made. */
  readonly relations: readonly CatalogRelation[];
  relation(oid: Oid): CatalogRelation | undefined;
  function(oid: Oid): CatalogFunction | undefined;
  /** Ordinary roles (see RolePower) with the privilege on the relation or one of its columns, and USAGE on its schema; by name. */
  holders(relation: CatalogRelation, privilege: string): readonly CatalogRole[];
  /** The same for a function's EXECUTE. */
  callers(called: CatalogFunction): readonly CatalogRole[];
  /** Whether the role's queries on the relation are subject to its policies. */
  bound(role: CatalogRole, relation: CatalogRelation): boolean;
  /** Policies that apply to the role for the command, those for ALL included. */
  policiesFor(role: CatalogRole, relation: CatalogRelation, command: PolicyCommand): readonly CatalogPolicy[];
  /** Partition and inheritance ancestors, nearest first. */
  ancestors(relation: CatalogRelation): readonly CatalogRelation[];
  /** Views and materialised views that name the relation themselves. */
  viewsOver(relation: CatalogRelation): readonly CatalogRelation[];
}

export function survey(catalog: Catalog): Landscape {
  const byOid = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
  const functions = new Map(catalog.functions.map((each) => [each.oid, each]));
  const schemas = new Map(catalog.schemas.map((schema) => [schema.name, schema]));
  const roles = rolePower(catalog);
  const relations = catalog.relations.filter((relation) => relation.extension === null);
  const usersOf = remembered((schema: string) => new Set(roles.holding(granteesOf(schemas.get(schema)?.grants ?? [], 'USAGE')).map((role) => role.oid)));
  const allowed = (schema: string, grantees: ReadonlySet<Oid>) => roles.holding(grantees).filter((role) => usersOf(schema).has(role.oid));
  const over = invert(relations);
  const bound: Landscape['bound'] = (role, relation) =>
    relation.rowSecurity && !role.superuser && !role.bypassesRowSecurity && (relation.forced || !roles.has(role.oid, relation.owner));
  return {
    catalog,
    roles,
    relations,
    guarded: relations.filter((relation) => relation.rowSecurity),
    relation: (oid) => byOid.get(oid),
    function: (oid) => functions.get(oid),
    holders: (relation, privilege) =>
      allowed(relation.schema, new Set([...granteesOf(relation.grants, privilege), ...relation.columns.flatMap((column) => [...granteesOf(column.grants, privilege)])])),
    callers: (called) => allowed(called.schema, granteesOf(called.grants, 'EXECUTE')),
    bound,
    policiesFor: (role, relation, command) =>
      relation.policies.filter((policy) => (policy.command === 'All' || policy.command === command) && policy.roles.some((named) => named === 0 || roles.has(role.oid, named))),
    ancestors: (relation) => closure(relation.oid, (oid) => byOid.get(oid)?.parents ?? []).flatMap((oid) => byOid.get(oid) ?? []),
    viewsOver: (relation) => over.get(relation.oid) ?? [],
  };
}

function granteesOf(grants: readonly Grant[], privilege: string): ReadonlySet<Oid> {
  return new Set(grants.filter((grant) => grant.privileges.includes(privilege)).map((grant) => grant.grantee));
}

function invert(relations: readonly CatalogRelation[]): ReadonlyMap<Oid, readonly CatalogRelation[]> {
  const found = new Map<Oid, CatalogRelation[]>();
  for (const relation of relations) {
    for (const oid of relation.view?.reads ?? []) found.set(oid, [...(found.get(oid) ?? []), relation]);
  }
  return found;
}

function remembered<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new Map<Key, Value>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}

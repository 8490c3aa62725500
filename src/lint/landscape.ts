// A catalog prepared for questions: who holds which privilege, whom row security binds, what lies over a table.
import type { Catalog, CatalogFunction, CatalogPolicy, CatalogRelation, CatalogRole, Grant, Oid, PolicyCommand } from '../policy/catalog.ts';
import { remembered } from './remembered.ts';
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
  /**
   * Holders whom it matters to hold back: without the owner and who inherits from it, since they could switch row security off; with them where nobody
   * else has a privilege on the relation, since then the application is the owner.
   */
  subjects(relation: CatalogRelation, privilege: string): readonly CatalogRole[];
  /** The same for a function's EXECUTE. */
  callers(called: CatalogFunction): readonly CatalogRole[];
  /** Whether the role's queries on the relation are subject to its policies. */
  bound(role: CatalogRole, relation: CatalogRelation): boolean;
  /** Policies that apply to the role for the command, those for ALL included. */
  policiesFor(role: CatalogRole, relation: CatalogRelation, command: PolicyCommand): readonly CatalogPolicy[];
  /** Partition and inheritance ancestors, nearest first. */
  ancestors(relation: CatalogRelation): readonly CatalogRelation[];
  /** Partitions and inheritance children, at any depth. */
  descendants(relation: CatalogRelation): readonly CatalogRelation[];
  /** What several lints work out of the whole landscape, worked out once; by the function that does it. */
  once<Value>(make: (landscape: Landscape) => Value): Value;
  /** Views and materialised views that name the relation themselves. */
  viewsOver(relation: CatalogRelation): readonly CatalogRelation[];
}

const rowPrivileges = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;

export function survey(catalog: Catalog): Landscape {
  const byOid = new Map(catalog.relations.map((relation) => [relation.oid, relation]));
  const functions = new Map(catalog.functions.map((each) => [each.oid, each]));
  const schemas = new Map(catalog.schemas.map((schema) => [schema.name, schema]));
  const roles = rolePower(catalog);
  const relations = catalog.relations.filter((relation) => relation.extension === null);
  const usersOf = remembered((schema: string) => new Set(roles.holding(granteesOf(schemas.get(schema)?.grants ?? [], 'USAGE')).map((role) => role.oid)));
  const allowed = (schema: string, grantees: ReadonlySet<Oid>) => {
    const users = usersOf(schema);
    return roles.holding(grantees).filter((role) => users.has(role.oid));
  };
  const over = invert(relations);
  const children = childrenOf(relations);
  const holdersOf = remembered((privilege: string) =>
    remembered((relation: CatalogRelation) => {
      const grantees = granteesOf(relation.grants, privilege);
      for (const column of relation.columns) if (column.grants.length > 0) for (const grantee of granteesOf(column.grants, privilege)) grantees.add(grantee);
      return allowed(relation.schema, grantees);
    }),
  );
  const bound: Landscape['bound'] = (role, relation) =>
    relation.rowSecurity && !role.superuser && !role.bypassesRowSecurity && (relation.forced || !roles.has(role.oid, relation.owner));
  const known = new Map<(landscape: Landscape) => unknown, unknown>();
  const landscape: Landscape = {
    catalog,
    roles,
    relations,
    guarded: relations.filter((relation) => relation.rowSecurity),
    relation: (oid) => byOid.get(oid),
    function: (oid) => functions.get(oid),
    holders: (relation, privilege) => holdersOf(privilege)(relation),
    subjects: (relation, privilege) => {
      const holders = holdersOf(privilege)(relation);
      const owns = (role: CatalogRole) => roles.has(role.oid, relation.owner);
      const others = rowPrivileges.some((each) => holdersOf(each)(relation).some((role) => role.oid !== 0 && !owns(role)));
      return others ? holders.filter((role) => !owns(role)) : holders;
    },
    callers: (called) => allowed(called.schema, granteesOf(called.grants, 'EXECUTE')),
    bound,
    policiesFor: (role, relation, command) =>
      relation.policies.filter((policy) => (policy.command === 'All' || policy.command === command) && policy.roles.some((named) => named === 0 || roles.has(role.oid, named))),
    ancestors: (relation) => (relation.parents.length === 0 ? [] : closure(relation.oid, (oid) => byOid.get(oid)?.parents ?? []).flatMap((oid) => byOid.get(oid) ?? [])),
    descendants: (relation) => closure(relation.oid, (oid) => children.get(oid) ?? []).flatMap((oid) => byOid.get(oid) ?? []),
    viewsOver: (relation) => over.get(relation.oid) ?? [],
    once: <Value>(make: (landscape: Landscape) => Value): Value => {
      if (!known.has(make)) known.set(make, make(landscape));
      return known.get(make) as Value;
    },
  };
  return landscape;
}

function granteesOf(grants: readonly Grant[], privilege: string): Set<Oid> {
  return new Set(grants.filter((grant) => grant.privileges.includes(privilege)).map((grant) => grant.grantee));
}

function childrenOf(relations: readonly CatalogRelation[]): ReadonlyMap<Oid, readonly Oid[]> {
  const found = new Map<Oid, Oid[]>();
  for (const relation of relations) {
    for (const parent of relation.parents) {
      const known = found.get(parent);
      if (known === undefined) found.set(parent, [relation.oid]);
      else known.push(relation.oid);
    }
  }
  return found;
}

function invert(relations: readonly CatalogRelation[]): ReadonlyMap<Oid, readonly CatalogRelation[]> {
  const found = new Map<Oid, CatalogRelation[]>();
  for (const relation of relations) {
    for (const oid of relation.view?.reads ?? []) found.set(oid, [...(found.get(oid) ?? []), relation]);
  }
  return found;
}

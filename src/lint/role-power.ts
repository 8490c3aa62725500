// Who may act as whom: rights that roles inherit, roles they can become, and which roles are ordinary.
import type { Catalog, CatalogRole, Grant, Membership, Oid } from '../policy/catalog.ts';

export interface RolePower {
  /**
   * Roles whose reach is worth a finding: neither superuser nor BYPASSRLS, not the server's own, not a probe of ours. Includes PUBLIC, which stands
   * for every role that may yet be made.
   */
  readonly ordinary: readonly CatalogRole[];
  /** Ordinary roles as all findings list them: by name, PUBLIC last. */
  inOrder(roles: readonly CatalogRole[]): readonly CatalogRole[];
  role(oid: Oid): CatalogRole | undefined;
  name(oid: Oid): string;
  /** Whether `member` has the rights of `role` without SET ROLE: it is it, or inherits them. PostgreSQL calls it USAGE of a role. */
  has(member: Oid, role: Oid): boolean;
  /** Every role that it can SET ROLE to, itself left out. */
  canBecome(member: Oid): readonly CatalogRole[];
  /** Ordinary roles that hold what was granted to these grantees, by name. */
  holding(grantees: ReadonlySet<Oid>): readonly CatalogRole[];
  /** The grantees of a privilege as they stand in the grants: what a REVOKE names. */
  among(grants: readonly Grant[], privilege: string): readonly CatalogRole[];
}

const everyone: CatalogRole = { oid: 0, name: 'PUBLIC', superuser: false, bypassesRowSecurity: false, login: false, createRole: false, replication: false, predefined: false };

const probeName = /^rowseal_probe_/;

export function rolePower(catalog: Catalog): RolePower {
  const byOid = new Map([everyone, ...catalog.roles].map((role) => [role.oid, role]));
  const inherited = reach(catalog, (membership) => membership.inherit);
  const settable = reach(catalog, (membership) => membership.set);
  const ordinary = [...catalog.roles.filter((role) => !role.superuser && !role.bypassesRowSecurity && !role.predefined && !probeName.test(role.name)), everyone];
  const place = new Map(ordinary.map((role, index) => [role, index]));
  const holding = rememberedByMembers((grantees) => ordinary.filter((role) => grantees.has(0) || [...inherited(role.oid)].some((oid) => grantees.has(oid))));
  return {
    ordinary,
    inOrder: (roles) => (roles.length < 2 ? roles : roles.toSorted((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0))),
    role: (oid) => byOid.get(oid),
    name: (oid) => byOid.get(oid)?.name ?? `role ${oid}`,
    has: (member, role) => inherited(member).has(role),
    canBecome: (member) => [...settable(member)].filter((oid) => oid !== member).flatMap((oid) => byOid.get(oid) ?? []),
    holding,
    among: (grants, privilege) => grants.filter((grant) => grant.privileges.includes(privilege)).flatMap((grant) => byOid.get(grant.grantee) ?? []),
  };
}

/** What can be reached from a value by steps, itself left out, nearest first. */
export function closure(start: Oid, next: (oid: Oid) => readonly Oid[]): readonly Oid[] {
  const seen = new Set([start]);
  for (const oid of seen) for (const other of next(oid)) seen.add(other);
  seen.delete(start);
  return [...seen];
}

function reach(catalog: Catalog, by: (membership: Membership) => boolean): (member: Oid) => ReadonlySet<Oid> {
  const steps = new Map<Oid, Oid[]>();
  for (const membership of catalog.memberships.filter(by)) steps.set(membership.member, [...(steps.get(membership.member) ?? []), membership.role]);
  const known = new Map<Oid, ReadonlySet<Oid>>();
  return (member) => {
    const found = known.get(member) ?? new Set([member, ...closure(member, (oid) => steps.get(oid) ?? [])]);
    known.set(member, found);
    return found;
  };
}

/** Most relations are granted to the same few roles, so each set of grantees is worked out once. */
function rememberedByMembers<Value>(make: (set: ReadonlySet<Oid>) => Value): (set: ReadonlySet<Oid>) => Value {
  const known = new Map<string, Value>();
  return (set) => {
    const key = [...set].sort((a, b) => a - b).join(' ');
    const value = known.get(key) ?? make(set);
    known.set(key, value);
    return value;
  };
}

// Which columns say whose a row is: those that policies compare with what the session says about its user.
import type { CatalogRelation } from '../policy/catalog.ts';
import { type Expression, holds } from '../policy/expression.ts';
import { type Claims, claimsOf } from './claims.ts';
import type { Landscape } from './landscape.ts';
import { askedPolicies, ownColumns } from './policy-parts.ts';

export interface TenantColumns {
  /** Columns of the table that its own policies, or those of other tables for a column of the same name, compare with the session. */
  of(table: CatalogRelation): readonly string[];
  /** Roles that are told apart that way somewhere: those of tenants, not of administration. */
  readonly roles: ReadonlySet<number>;
}

export function tenantColumns(landscape: Landscape): TenantColumns {
  return landscape.once(findTenantColumns);
}

function findTenantColumns(landscape: Landscape): TenantColumns {
  const [asked, claims] = [askedPolicies(landscape), claimsOf(landscape)];
  const comparing = asked.filter(({ policy, expressions }) => policy.permissive && expressions.some(({ tree }) => asksUser(tree, claims)));
  const names = comparing.flatMap(({ table, expressions }) => expressions.filter(({ tree }) => asksUser(tree, claims)).flatMap(({ tree }) => ownColumns(tree, table).map((column) => ({ table, column }))));
  // `id` is a tenant in a table of tenants, and nothing of the kind in any other.
  const everywhere = new Set(names.map(({ column }) => column).filter((column) => column !== 'id'));
  const own = Map.groupBy(names, ({ table }) => table.oid);
  return {
    of: (table) => {
      const mine = new Set((own.get(table.oid) ?? []).map(({ column }) => column));
      return table.columns.map((column) => column.name).filter((column) => mine.has(column) || everywhere.has(column));
    },
    roles: new Set(comparing.flatMap(({ roles }) => roles.map((role) => role.oid))),
  };
}

/** A claim, or who is connected. */
export function asksUser(expression: Expression, claims: Claims): boolean {
  return claims.dependsOnClaim(expression) || holds(expression, (part) => part.kind === 'SessionValue' && /user|role/.test(part.name));
}

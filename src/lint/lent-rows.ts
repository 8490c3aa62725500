// What a view lends: rows that its owner's policies let through and those of its readers do not.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import { asksSession, effectiveRows } from './effective-rows.ts';
import { always, implies, isConstant } from './implication.ts';
import type { Landscape } from './landscape.ts';

export interface Lent {
  /** The tables under row security whose rows are lent. */
  readonly tables: readonly CatalogRelation[];
  /** Readers who get more than their own policies give. */
  readonly roles: readonly CatalogRole[];
}

export function lentRows(view: CatalogRelation, reads: readonly CatalogRelation[], readers: readonly CatalogRole[], landscape: Landscape): Lent {
  const owner = landscape.roles.role(view.owner);
  // Whoever has the owner's rights sees as much without the view.
  const others = readers.filter((role) => !landscape.roles.has(role.oid, view.owner));
  const pairs = reads.flatMap((table) => {
    const guard = guardOf(table, landscape);
    if (guard === undefined) return [];
    // A partition without row security is read past its root by anybody.
    const seen = owner === undefined || guard !== table ? always : effectiveRows(owner, table, 'Select', landscape);
    return others.filter((role) => landscape.bound(role, guard) && lends(seen, effectiveRows(role, guard, 'Select', landscape))).map((role) => ({ guard, role }));
  });
  const [tables, roles] = [new Set(pairs.map(({ guard }) => guard)), new Set(pairs.map(({ role }) => role))];
  return { tables: [...tables], roles: others.filter((role) => roles.has(role)) };
}

/** Policies that hold the owner itself back by the session hold whoever asks through the view: some build their interface so. */
function lends(seen: Expression, own: Expression): boolean {
  if (implies(seen, own) || asksSession(seen)) return false;
  return isConstant(seen, true) || asksSession(own);
}

/** The table whose policies should hold: itself, or the ancestor that its own lack of row security passes by. */
function guardOf(table: CatalogRelation, landscape: Landscape): CatalogRelation | undefined {
  return table.rowSecurity ? table : landscape.ancestors(table).findLast((ancestor) => ancestor.rowSecurity);
}

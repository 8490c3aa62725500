// What a role that lends its rights (the owner of a function, of a view with a rule) reaches of a table under row security.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import { asksSession, effectiveRows } from './effective-rows.ts';
import type { BodyCommand } from './function-tables.ts';
import { isConstant } from './implication.ts';
import type { Landscape } from './landscape.ts';

/** Whether the role may run the command there, and no policy keeps any row from it. Unknown roles are taken to be above everything. */
export function reachesAll(role: CatalogRole | undefined, table: CatalogRelation, command: BodyCommand, landscape: Landscape): boolean {
  if (!table.rowSecurity) return false;
  if (role === undefined) return true;
  if (!mayUse(role, table, command, landscape)) return false;
  if (command === 'Truncate' || !landscape.bound(role, table)) return true;
  if (command === 'Select') {
    const seen = effectiveRows(role, table, 'Select', landscape);
    return !isConstant(seen, false) && !asksSession(seen);
  }
  const policies = landscape.policiesFor(role, table, command);
  return policies.every((policy) => policy.permissive) && policies.some((policy) => [policy.using, policy.check].every((each) => each === undefined || isConstant(each.tree, true)));
}

function mayUse(role: CatalogRole, table: CatalogRelation, command: BodyCommand, { roles }: Landscape): boolean {
  if (role.superuser || roles.has(role.oid, table.owner)) return true;
  const grants = [...table.grants, ...table.columns.flatMap((column) => column.grants)];
  return roles.among(grants, command.toUpperCase()).some((grantee) => grantee.oid === 0 || roles.has(role.oid, grantee.oid));
}

// TRUNCATE asks no policy: whoever holds it removes the rows of everybody.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { rolesListed, sqlRelation, sqlRoles, tableNameOf, titled } from './words.ts';

export const truncateGranted: Lint = {
  id: 'truncate-granted',
  severity: 'error',
  title: 'TRUNCATE is granted on a table under policies',
  reason: 'Row security does not apply to TRUNCATE: a role that holds it empties the table for every tenant, whatever its DELETE policies say.',
  fix: 'REVOKE TRUNCATE ON … FROM …',
  find: (landscape) => landscape.relations.filter((table) => table.kind === 'Table' || table.kind === 'PartitionedTable').flatMap((table) => finding(table, landscape)),
};

function finding(table: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  const guard = [table, ...landscape.ancestors(table)].find((each) => each.rowSecurity);
  if (guard === undefined) return [];
  // An owner may do more than that anyway.
  const roles = landscape.holders(table, 'TRUNCATE').filter((role) => !landscape.roles.has(role.oid, table.owner) && !landscape.roles.has(role.oid, guard.owner));
  const granted = landscape.roles.among(table.grants, 'TRUNCATE');
  const role = roles.find((each) => each.oid !== 0);
  if (roles.length === 0) return [];
  return [
    {
      object: titled(table),
      tables: [titled(guard)],
      why: `${rolesListed(roles)} may TRUNCATE it, and no policy is asked.`,
      fix: `REVOKE TRUNCATE ON ${sqlRelation(table)} FROM ${sqlRoles(granted.filter((each) => each.oid !== table.owner))}`,
      ...(role === undefined ? {} : { witness: { role: role.name, kind: 'Truncates', table: tableNameOf(table), shows: `${role.name} empties the table` } as const }),
    },
  ];
}

// Row security without a policy denies every row, which is sometimes meant and often forgotten.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { rolesListed, titled } from './words.ts';

export const rowSecurityWithoutPolicies: Lint = {
  id: 'row-security-without-policies',
  severity: 'info',
  title: 'row security is on, and no policy lets a row through',
  reason: 'Without a permissive policy nobody who is bound sees or writes any row. That is safe; where privileges are granted, it is seldom meant.',
  fix: 'add a policy, or revoke the privileges',
  find: (landscape) => landscape.guarded.filter((table) => table.policies.every((policy) => !policy.permissive)).flatMap((table) => finding(table, landscape)),
};

function finding(table: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  // A partition or child that is closed by itself is reached through its root, as it should be.
  if (landscape.ancestors(table).some((ancestor) => ancestor.rowSecurity)) return [];
  const roles = landscape.holders(table, 'SELECT').filter((role) => landscape.bound(role, table) && !landscape.roles.has(role.oid, table.owner));
  if (roles.length === 0) return [];
  return [
    {
      object: titled(table),
      tables: [titled(table)],
      why: `${rolesListed(roles)} may SELECT and get no row.`,
      fix: `-- a policy for ${rolesListed(roles)}, or no privilege`,
    },
  ];
}

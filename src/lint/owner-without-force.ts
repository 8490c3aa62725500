// Row security that is enabled but not forced does not bind the table's owner, nor whoever inherits the owner's rights.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { rolesListed, sqlRelation, tableNameOf, titled } from './words.ts';

export const ownerWithoutForce: Lint = {
  id: 'owner-without-force',
  severity: 'error',
  title: 'the owner is not bound by the policies',
  reason: 'ENABLE ROW LEVEL SECURITY leaves out the owner of the table and every role that inherits from it; an application that connects as one of them sees every row.',
  fix: 'ALTER TABLE … FORCE ROW LEVEL SECURITY, and let the application connect as a role that owns nothing',
  find: (landscape) =>
    landscape.guarded
      .filter((table) => !table.forced && table.policies.length > 0)
      .flatMap((table) => finding(table, landscape)),
};

function finding(table: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  // A superuser or BYPASSRLS owner is bound by nothing, so FORCE would change nothing for it.
  const free = landscape.roles.ordinary.filter((role) => role.oid !== 0 && landscape.roles.has(role.oid, table.owner));
  const [first] = free.filter((role) => role.login).concat(free);
  if (first === undefined) return [];
  const names = free.length === 1 ? `${first.name} owns the table` : `${rolesListed(free)} own the table or inherit from its owner`;
  return [
    {
      object: titled(table),
      tables: [titled(table)],
      severity: severityOf(table, free, landscape),
      why: `${names}, so no policy binds ${free.length === 1 ? 'it' : 'them'}: row security is enabled, not forced.`,
      fix: `ALTER TABLE ${sqlRelation(table)} FORCE ROW LEVEL SECURITY`,
      witness: {
        role: first.name,
        kind: 'ReadsPastPolicies',
        relation: tableNameOf(table),
        shows: `${first.name} reads rows although no policy was asked`,
      },
    },
  ];
}

/** An owner that only migrations use is worth a warning; one that the application has to be, or that a policy names, is a leak. */
function severityOf(table: CatalogRelation, free: readonly CatalogRole[], landscape: Landscape): 'error' | 'warning' | 'info' {
  if (!free.some((role) => role.login)) return 'info';
  const named = free.some((role) => table.policies.some((policy) => policy.roles.includes(role.oid)));
  const others = landscape.holders(table, 'SELECT').filter((role) => !free.includes(role));
  const inheriting = free.some((role) => role.login && role.oid !== table.owner);
  return named || inheriting || others.length === 0 ? 'error' : 'warning';
}

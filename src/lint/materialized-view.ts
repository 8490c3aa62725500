// A materialised view holds the rows that its owner saw; no policy is asked when somebody reads it.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import { lentRows } from './lent-rows.ts';
import type { Lint, LintFinding } from './lint.ts';
import { closure } from './role-power.ts';
import { viewReaders } from './view-readers.ts';
import { listed, rolesListed, sqlRelation, sqlRoles, tableNameOf, titled } from './words.ts';

export const materializedView: Lint = {
  id: 'materialized-view',
  severity: 'error',
  title: 'a materialised view keeps rows past the policies',
  reason: 'A materialised view is filled with what its owner sees, and PostgreSQL has no row security for it: whoever may read it reads all of it.',
  fix: 'REVOKE SELECT ON … FROM …, and show it through a view with security_barrier that filters by the claims',
  find: (landscape) => landscape.relations.filter((view) => view.kind === 'MaterializedView').flatMap((view) => finding(view, landscape)),
};

function finding(view: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  // Filled as its owner, whatever lies between.
  const below = closure(view.oid, (oid) => landscape.relation(oid)?.view?.reads ?? []).flatMap((oid) => landscape.relation(oid) ?? []);
  const { tables: kept, roles: readers } = lentRows(view, below, viewReaders(view, landscape), landscape);
  if (readers.length === 0) return [];
  const holders = landscape.holders(view, 'SELECT');
  const witness = readers.find((role) => role.oid !== 0 && holders.includes(role));
  const granted = landscape.roles.among(view.grants, 'SELECT').filter((role) => role.oid !== view.owner);
  return [
    {
      object: titled(view),
      tables: kept.map(titled),
      why: `It holds rows of ${listed(kept.map(titled))} as ${landscape.roles.name(view.owner)} saw them; ${rolesListed(readers)} can read it.`,
      fix: granted.length === 0 ? 'revoke SELECT on the views that read it' : `REVOKE SELECT ON ${sqlRelation(view)} FROM ${sqlRoles(granted)}`,
      ...(witness === undefined
        ? {}
        : { witness: { role: witness.name, kind: 'ViewReadsMore', view: tableNameOf(view), shows: `${witness.name} gets rows from it that its own rights do not give it` } as const }),
    },
  ];
}

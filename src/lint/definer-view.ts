// A view reads its tables as its owner; where the owner is above the policies, so is everybody who may read the view.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { viewReaders } from './view-readers.ts';
import { listed, rolesListed, sqlRelation, tableNameOf, titled } from './words.ts';

export const definerView: Lint = {
  id: 'definer-view',
  severity: 'error',
  title: 'a view shows rows past the policies',
  reason: 'Without security_invoker a view reads its tables with the rights of its owner, so the policies that bind the reader are never asked.',
  fix: 'ALTER VIEW … SET (security_invoker = true), and grant the readers SELECT on what the view reads',
  find: (landscape) => landscape.relations.filter((view) => view.kind === 'View' && !view.securityInvoker).flatMap((view) => finding(view, landscape)),
};

function finding(view: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  const owner = landscape.roles.role(view.owner);
  const passed = guardedReads(view, landscape).filter((table) => owner === undefined || asOwner(owner, table, landscape));
  // Whoever has the owner's rights sees as much without the view.
  const readers = viewReaders(view, landscape).filter((role) => !landscape.roles.has(role.oid, view.owner) && passed.some((table) => landscape.bound(role, table)));
  if (passed.length === 0 || readers.length === 0) return [];
  const [witness] = readers.filter((role) => role.oid !== 0 && landscape.holders(view, 'SELECT').includes(role));
  return [
    {
      object: titled(view),
      tables: passed.map(titled),
      why: `It reads ${listed(passed.map(titled))} as ${owner?.name ?? 'its owner'}, which no policy there holds back; ${rolesListed(readers)} can read it.`,
      fix: `ALTER VIEW ${sqlRelation(view)} SET (security_invoker = true)`,
      ...(witness === undefined
        ? {}
        : { witness: { role: witness.name, kind: 'ViewReadsMore', view: tableNameOf(view), shows: `${witness.name} gets rows from the view that its own rights do not give it` } as const }),
    },
  ];
}

/** A table named by the view, or a partition of a table under row security. */
function guardedReads(view: CatalogRelation, landscape: Landscape): readonly CatalogRelation[] {
  return (view.view?.reads ?? []).flatMap((oid) => landscape.relation(oid) ?? []).filter((table) => table.rowSecurity);
}

/** Whether the owner of a view reads every row: above the policies, or let through to every row by one of its own. */
export function asOwner(owner: CatalogRole, table: CatalogRelation, landscape: Landscape): boolean {
  if (!landscape.bound(owner, table)) return true;
  const policies = landscape.policiesFor(owner, table, 'Select');
  return policies.some((policy) => policy.permissive && policy.using?.text === 'true') && policies.every((policy) => policy.permissive);
}

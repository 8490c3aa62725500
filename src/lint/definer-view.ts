// A view reads its tables as its owner; where the owner is above the policies, so is everybody who may read the view.
import type { CatalogRelation } from '../policy/catalog.ts';
import { asksSession } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { lentRows } from './lent-rows.ts';
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
  const reads = (view.view?.reads ?? []).flatMap((oid) => landscape.relation(oid) ?? []);
  const lent = lentRows(view, reads, viewReaders(view, landscape), landscape);
  if (lent.roles.length === 0) return [];
  const owner = landscape.roles.name(view.owner);
  const [witness] = lent.roles.filter((role) => role.oid !== 0 && landscape.holders(view, 'SELECT').includes(role));
  return [
    {
      object: titled(view),
      tables: lent.tables.map(titled),
      // A view that asks the session itself may be a fence of its own; only its author knows.
      ...(view.view?.filter !== undefined && asksSession(view.view.filter) ? { severity: 'warning' } : {}),
      why: `It reads ${listed(lent.tables.map(titled))} as ${owner}, whom the policies there do not hold back as they do ${rolesListed(lent.roles)}, who can use the view.`,
      fix: `ALTER VIEW ${sqlRelation(view)} SET (security_invoker = true)`,
      ...(witness === undefined
        ? {}
        : { witness: { role: witness.name, kind: 'ViewReadsMore', view: tableNameOf(view), shows: `${witness.name} gets rows from the view that its own rights do not give it` } as const }),
    },
  ];
}

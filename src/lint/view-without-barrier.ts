// A view that filters by who asks, without security_barrier: a cheap function in the reader's WHERE sees rows before the filter does.
import type { CatalogRelation } from '../policy/catalog.ts';
import { asksSession } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { listed, rolesListed, sqlRelation, tableNameOf, titled } from './words.ts';

export const viewWithoutBarrier: Lint = {
  id: 'view-without-barrier',
  severity: 'error',
  title: 'a view that filters by the session leaks to functions',
  reason: "Without security_barrier the planner may run a reader's conditions before the view's own. A function that is not leakproof, such as a cast that fails with the value in its message, then sees every row.",
  fix: 'ALTER VIEW … SET (security_barrier = true)',
  find: (landscape) =>
    landscape.relations.filter((view) => view.kind === 'View' && !view.securityInvoker && !view.securityBarrier && view.view?.filter !== undefined && asksSession(view.view.filter)).flatMap((view) => finding(view, landscape)),
};

function finding(view: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  const tables = (view.view?.reads ?? []).flatMap((oid) => landscape.relation(oid) ?? []).filter((table) => table.kind === 'Table' || table.kind === 'PartitionedTable');
  // Who may read the table itself learns nothing from the view.
  const readers = landscape.holders(view, 'SELECT').filter((role) => !landscape.roles.has(role.oid, view.owner) && tables.some((table) => !landscape.holders(table, 'SELECT').includes(role)));
  if (readers.length === 0) return [];
  const role = readers.find((each) => each.oid !== 0);
  return [
    {
      object: titled(view),
      tables: tables.map(titled),
      why: `Its filter is all that keeps ${rolesListed(readers)} from the rows of ${listed(tables.map(titled))}, and it has no security_barrier.`,
      fix: `ALTER VIEW ${sqlRelation(view)} SET (security_barrier = true)`,
      ...(role === undefined ? {} : { witness: { role: role.name, kind: 'PeeksBehindView', view: tableNameOf(view), shows: `a function of ${role.name} is handed rows that the view does not show` } as const }),
    },
  ];
}

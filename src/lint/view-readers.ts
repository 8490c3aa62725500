// Who gets at a view's rows: with a privilege on it, or through a view above it that reads it with other rights.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';

const privileges = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;

/** Ordinary roles that can read or write through the view, directly or through views over it; by name, PUBLIC last. */
export function viewReaders(view: CatalogRelation, landscape: Landscape): readonly CatalogRole[] {
  const held = (relation: CatalogRelation) => privileges.flatMap((privilege) => landscape.holders(relation, privilege));
  const readers = new Set(held(view));
  const seen = new Set([view.oid]);
  const above = [view];
  for (const lower of above) {
    for (const upper of landscape.viewsOver(lower)) {
      if (seen.has(upper.oid)) continue;
      seen.add(upper.oid);
      // A security_invoker view asks its reader's rights on the lower view, which were counted there.
      // A materialised one keeps its own copy, and is found by itself.
      if (upper.kind !== 'View' || upper.securityInvoker) continue;
      for (const role of held(upper)) readers.add(role);
      above.push(upper);
    }
  }
  return landscape.roles.ordinary.filter((role) => readers.has(role));
}

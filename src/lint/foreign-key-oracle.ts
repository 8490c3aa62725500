// A foreign key tells whether a referenced row exists, although the policies hide it.
import type { CatalogForeignKey, CatalogRelation } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import { asksRow, asksSession, effectiveRows } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { listed, rolesListed, titled } from './words.ts';

export const foreignKeyOracle: Lint = {
  id: 'foreign-key-oracle',
  severity: 'warning',
  title: 'a foreign key tells which hidden rows exist',
  reason: 'Foreign keys are checked past the policies of the referenced table: an INSERT with a guessed key succeeds exactly if the hidden row exists, and then refers to it.',
  fix: 'a composite key with the column that the policies pin: FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id)',
  find: (landscape) => landscape.relations.flatMap((table) => table.foreignKeys.flatMap((key) => finding(table, key, landscape))),
};

function finding(table: CatalogRelation, key: CatalogForeignKey, landscape: Landscape): readonly LintFinding[] {
  const referenced = landscape.relation(key.references);
  if (referenced === undefined || referenced === table || !referenced.rowSecurity) return [];
  const roles = landscape.holders(table, 'INSERT').filter(
    (role) =>
      landscape.bound(role, referenced) &&
      !landscape.roles.has(role.oid, table.owner) &&
      hides(effectiveRows(role, referenced, 'Select', landscape)) &&
      (!landscape.bound(role, table) || landscape.policiesFor(role, table, 'Insert').some((policy) => policy.permissive && !key.columns.some((name) => policy.columns.includes(name)))),
  );
  if (roles.length === 0) return [];
  return [
    {
      object: `constraint ${key.name} on ${titled(table)}`,
      tables: [titled(referenced)],
      // A random key is not guessed, so there is little to ask.
      severity: key.referencedColumns.every((name) => referenced.columns.find((column) => column.name === name)?.type === 'uuid') ? 'info' : 'warning',
      why: `${rolesListed(roles)} can INSERT here with any ${listed(key.columns)}, and learn whether ${titled(referenced)} has it.`,
      fix: `-- a composite key with what the policies of both tables pin\nFOREIGN KEY (…, ${key.columns.join(', ')}) REFERENCES ${titled(referenced)} (…, ${key.referencedColumns.join(', ')})`,
    },
  ];
}

/** Rows are hidden from some and shown to others; where all are, or none, there is nothing to ask for. */
function hides(seen: Expression): boolean {
  return asksSession(seen) && asksRow(seen);
}

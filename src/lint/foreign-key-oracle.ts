// A foreign key tells whether a referenced row exists, although the policies hide it.
import type { CatalogForeignKey, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import type { Witness } from '../policy/witness.ts';
import { asksRow, asksSession, effectiveRows } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { rowsOfTwo, valueOf } from './two-tenants.ts';
import { listed, rolesListed, tableNameOf, titled } from './words.ts';

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
      ...witnessOf(table, referenced, { key, roles, landscape }),
      fix: `-- a composite key with what the policies of both tables pin\nFOREIGN KEY (…, ${key.columns.join(', ')}) REFERENCES ${titled(referenced)} (…, ${key.referencedColumns.join(', ')})`,
    },
  ];
}

/** Rows are hidden from some and shown to others; where all are, or none, there is nothing to ask for. */
function hides(seen: Expression): boolean {
  return asksSession(seen) && asksRow(seen);
}

interface Asking {
  readonly key: CatalogForeignKey;
  readonly roles: readonly CatalogRole[];
  readonly landscape: Landscape;
}

/** Needs a role that may write both tables, so that the hidden row can be made up, too. */
function witnessOf(table: CatalogRelation, referenced: CatalogRelation, { key, roles, landscape }: Asking): { readonly witness?: Witness } {
  const role = roles.find((each) => each.oid !== 0 && ['SELECT', 'INSERT'].every((privilege) => landscape.holders(referenced, privilege).includes(each)));
  const values = key.referencedColumns.map((name) => referenced.columns.find((column) => column.name === name)).map((column) => (column === undefined ? undefined : valueOf(column, 1)));
  if (role === undefined || values.some((value) => value === undefined)) return {};
  const pairs = (columns: readonly string[]) => Object.fromEntries(columns.map((name, index) => [name, values[index] ?? '']));
  const hidden = rowsOfTwo(role, referenced, pairs(key.referencedColumns), landscape);
  const asking = rowsOfTwo(role, { ...table, foreignKeys: table.foreignKeys.filter((each) => each !== key) }, pairs(key.columns), landscape);
  if (hidden === undefined || asking === undefined) return {};
  return {
    witness: {
      role: role.name,
      settings: hidden[0].settings,
      kind: 'ExistenceTold',
      hidden: { table: tableNameOf(referenced), row: hidden[0].row, key: pairs(key.referencedColumns) },
      asking: { table: tableNameOf(table), row: asking[1].row },
      otherSettings: asking[1].settings,
      told: 'ByAcceptance',
      shows: `${role.name} refers to a row of another tenant`,
    },
  };
}

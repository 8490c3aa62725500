// Columns granted one by one to a role that holds the whole table anyway: the list of columns restricts nothing.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { listed, sqlRelation, sqlRoles, titled } from './words.ts';

export const columnGrant: Lint = {
  id: 'column-grant',
  severity: 'warning',
  title: 'a grant of columns restricts nothing',
  reason: 'Privileges add up: who holds SELECT on the table reads every column, whatever was granted column by column, and REVOKE of a column takes nothing away. Policies choose rows, never columns.',
  fix: 'REVOKE the privilege on the table, then grant the columns',
  find: (landscape) => landscape.guarded.flatMap((table) => privileges.flatMap((privilege) => finding(table, privilege, landscape))),
};

const privileges = ['SELECT', 'INSERT', 'UPDATE'] as const;

function finding(table: CatalogRelation, privilege: string, landscape: Landscape): readonly LintFinding[] {
  const listing = table.columns.filter((column) => column.grants.some((grant) => grant.privileges.includes(privilege)));
  const grantees = new Set(listing.flatMap((column) => landscape.roles.among(column.grants, privilege)));
  const whole = landscape.roles.among(table.grants, privilege);
  const voided = [...grantees].flatMap((role) => {
    const through = whole.find((each) => each.oid === 0 || landscape.roles.has(role.oid, each.oid));
    return through === undefined || role.oid === table.owner || !landscape.holders(table, privilege).includes(role) ? [] : [{ role, through }];
  });
  const [first] = voided;
  if (first === undefined || listing.length === table.columns.length) return [];
  return [
    {
      object: `${privilege} on ${titled(table)}`,
      tables: [titled(table)],
      why: `${voided.map(({ role }) => role.name).join(', ')} was granted ${privilege} of ${listed(listing.map((column) => column.name))}, and holds it for every column through ${throughOf(first)}.`,
      fix: `REVOKE ${privilege} ON ${sqlRelation(table)} FROM ${sqlRoles([...new Set(voided.map(({ through }) => through))])}, then grant the columns again: this takes column grants with it`,
    },
  ];
}

function throughOf({ role, through }: { readonly role: CatalogRole; readonly through: CatalogRole }): string {
  return role === through ? 'a grant of the table' : through.name;
}

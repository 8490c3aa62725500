// TRUNCATE asks no policy: whoever holds it removes the rows of everybody.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { actsQuietly } from './quiet-writes.ts';
import { closure } from './role-power.ts';
import { rolesListed, sqlRelation, sqlRoles, tableNameOf, titled } from './words.ts';

export const truncateGranted: Lint = {
  id: 'truncate-granted',
  severity: 'error',
  title: 'TRUNCATE is granted on a table under policies',
  reason: 'Row security does not apply to TRUNCATE: a role that holds it empties the table for every tenant, whatever its DELETE policies say.',
  fix: 'REVOKE TRUNCATE ON … FROM …',
  find: (landscape) => landscape.relations.filter((table) => table.kind === 'Table' || table.kind === 'PartitionedTable').flatMap((table) => finding(table, landscape)),
};

function finding(table: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  const guard = [table, ...landscape.ancestors(table)].find((each) => each.rowSecurity);
  if (guard === undefined) return [];
  // TRUNCATE takes the tables that refer to this one with it, or fails: CASCADE needs the privilege on each.
  const referring = referringTables(table, landscape);
  const roles = landscape.holders(table, 'TRUNCATE').filter((role) => {
    // An owner may do more than that anyway.
    const owns = landscape.roles.has(role.oid, table.owner) || landscape.roles.has(role.oid, guard.owner);
    return !owns && referring.every((other) => landscape.holders(other, 'TRUNCATE').includes(role));
  });
  if (roles.length === 0) return [];
  const granted = landscape.roles.among(table.grants, 'TRUNCATE');
  const role = roles.find((each) => each.oid !== 0);
  const quiet = [table, ...referring].every((each) => actsQuietly(each, 'Truncate', landscape));
  return [
    {
      object: titled(table),
      tables: [titled(guard)],
      why: `${rolesListed(roles)} may TRUNCATE it, and no policy is asked.`,
      fix: `REVOKE TRUNCATE ON ${sqlRelation(table)} FROM ${sqlRoles(granted.filter((each) => each.oid !== table.owner))}`,
      ...(role === undefined || !quiet ? {} : { witness: { role: role.name, kind: 'Truncates', table: tableNameOf(table), cascade: referring.length > 0, shows: `${role.name} empties the table` } as const }),
    },
  ];
}

/** Tables with a foreign key to this one, or to one of these, at any depth. */
function referringTables(table: CatalogRelation, landscape: Landscape): readonly CatalogRelation[] {
  const referring = landscape.once(findReferring);
  return closure(table.oid, (oid) => referring.get(oid) ?? []).flatMap((oid) => landscape.relation(oid) ?? []);
}

function findReferring(landscape: Landscape): ReadonlyMap<number, readonly number[]> {
  const pairs = landscape.relations.flatMap((table) => table.foreignKeys.map((key) => ({ referenced: key.references, table: table.oid })));
  return new Map([...Map.groupBy(pairs, ({ referenced }) => referenced)].map(([referenced, by]) => [referenced, by.map((each) => each.table)]));
}

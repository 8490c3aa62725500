// A foreign key's CASCADE, SET NULL or SET DEFAULT writes the referencing rows past their policies.
import type { CatalogForeignKey, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import { asksRow, asksSession, effectiveRows } from './effective-rows.ts';
import { isConstant } from './implication.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { actsQuietly } from './quiet-writes.ts';
import { rolesListed, sqlName, sqlRelation, tableNameOf, titled } from './words.ts';

export const cascadeIntoGuarded: Lint = {
  id: 'cascade-into-guarded',
  severity: 'error',
  title: 'a foreign key removes or changes rows past the policies',
  reason: 'The actions of foreign keys ask no policy of the referencing table: who may delete the referenced row deletes, or changes, rows of everybody that refer to it.',
  fix: 'ON DELETE RESTRICT, or policies on the referenced table that hold the role back as those of the referencing table do',
  find: (landscape) => landscape.guarded.flatMap((table) => table.foreignKeys.flatMap((key) => finding(table, key, landscape))),
};

const writing = new Set(['Cascade', 'SetNull', 'SetDefault']);

interface Cascade {
  readonly command: 'Delete' | 'Update';
  readonly roles: readonly CatalogRole[];
}

function finding(table: CatalogRelation, key: CatalogForeignKey, landscape: Landscape): readonly LintFinding[] {
  const referenced = landscape.relation(key.references);
  if (referenced === undefined || referenced === table) return [];
  const commands = [...(writing.has(key.onDelete) ? (['Delete'] as const) : []), ...(writing.has(key.onUpdate) ? (['Update'] as const) : [])];
  const cascades = commands.map((command): Cascade => ({ command, roles: landscape.holders(referenced, command.toUpperCase()).filter((role) => reaches(role, command, { table, referenced, landscape })) }));
  const [first] = cascades.filter(({ roles }) => roles.length > 0);
  if (first === undefined) return [];
  const { command, roles } = first;
  const role = roles.find((each) => each.oid !== 0);
  const action = command === 'Delete' ? key.onDelete : key.onUpdate;
  const quiet = command === 'Delete' && actsQuietly(referenced, 'Delete', landscape) && actsQuietly(table, action === 'Cascade' ? 'Delete' : 'Update', landscape);
  return [
    {
      object: `constraint ${key.name} on ${titled(table)}`,
      tables: [titled(table)],
      why: `${rolesListed(roles)} may ${command.toUpperCase()} rows of ${titled(referenced)} that no policy there keeps apart, and the key ${action === 'Cascade' ? `${command.toLowerCase()}s` : 'changes'} the rows of ${titled(table)} that refer to them.`,
      fix: `ALTER TABLE ${sqlRelation(table)} DROP CONSTRAINT ${sqlName(key.name)}, ADD CONSTRAINT ${sqlName(key.name)} FOREIGN KEY (${key.columns.map((name) => sqlName(name)).join(', ')}) REFERENCES ${sqlRelation(referenced)} (${key.referencedColumns.map((name) => sqlName(name)).join(', ')}) ON ${command.toUpperCase()} RESTRICT`,
      ...(role === undefined || !quiet
        ? {}
        : {
            witness: {
              role: role.name,
              kind: 'Cascades',
              from: tableNameOf(referenced),
              into: tableNameOf(table),
              shows: `${role.name} changes more rows of ${titled(table)} than it sees`,
            } as const,
          }),
    },
  ];
}

/** The role writes referenced rows whoever they belong to, while its own writes to the referencing table depend on who it is. */
function reaches(role: CatalogRole, command: 'Delete' | 'Update', { table, referenced, landscape }: { readonly table: CatalogRelation; readonly referenced: CatalogRelation; readonly landscape: Landscape }): boolean {
  if (!landscape.bound(role, table) || landscape.roles.has(role.oid, referenced.owner) || landscape.roles.has(role.oid, table.owner)) return false;
  const own = effectiveRows(role, table, command, landscape);
  const other = effectiveRows(role, referenced, command, landscape);
  return !isConstant(other, false) && !asksSession(other) && ((asksSession(own) && asksRow(own)) || isConstant(own, false));
}

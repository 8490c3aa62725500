// UPDATE and DELETE without WHERE ask only their own policies, not those for SELECT: weaker ones reach rows that nobody sees.
import type { CatalogColumn, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Witness } from '../policy/witness.ts';
import { asksSession, effectiveRows } from './effective-rows.ts';
import { implies, isConstant } from './implication.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding, Severity } from './lint.ts';
import { actsQuietly } from './quiet-writes.ts';
import { listed, rolesListed, sqlRelation, tableNameOf, titled } from './words.ts';

type Command = 'Update' | 'Delete';

export const weakWritePolicy: Lint = {
  id: 'weak-write-policy',
  severity: 'error',
  title: 'UPDATE or DELETE reaches more rows than SELECT shows',
  reason: 'SELECT policies are asked only where a statement reads a column. UPDATE and DELETE without WHERE and RETURNING read none, so only their own policies hold them back.',
  fix: 'give the policies for UPDATE and DELETE the condition of those for SELECT, or write one policy FOR ALL',
  find: (landscape) => landscape.guarded.flatMap((table) => finding(table, landscape)),
};

interface Weakness {
  readonly command: Command;
  readonly role: CatalogRole;
  readonly severity: Severity;
}

function finding(table: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  const weaknesses = (['Update', 'Delete'] as const).flatMap((command) =>
    landscape
      .subjects(table, command.toUpperCase())
      .filter((role) => landscape.bound(role, table))
      .flatMap((role) => weakness(role, table, command, landscape)),
  );
  const gravest = weaknesses.find(({ severity }) => severity === 'error') ?? weaknesses[0];
  if (gravest === undefined) return [];
  const commands = [...new Set(weaknesses.map(({ command }) => command))];
  const roles = landscape.roles.ordinary.filter((role) => weaknesses.some((each) => each.role === role));
  const witness = weaknesses.map((each) => witnessOf(each, table, landscape)).find((each) => each !== undefined);
  return [
    {
      object: titled(table),
      tables: [titled(table)],
      severity: gravest.severity,
      why: `The policies of ${rolesListed(roles)} for ${listed(commands.map((command) => command.toUpperCase()))} let through rows that those for SELECT do not.`,
      fix: `-- each policy for ${listed(commands.map((command) => command.toUpperCase()))}, with the condition of the one for SELECT\nALTER POLICY … ON ${sqlRelation(table)} USING (…)`,
      ...(witness === undefined ? {} : { witness }),
    },
  ];
}

function weakness(role: CatalogRole, table: CatalogRelation, command: Command, landscape: Landscape): readonly Weakness[] {
  const seen = effectiveRows(role, table, 'Select', landscape);
  const written = effectiveRows(role, table, command, landscape);
  if (implies(written, seen)) return [];
  if (asksSession(seen) && !asksSession(written)) return [{ command, role, severity: 'error' }];
  // Only what is proven weaker: conditions that merely differ say nothing.
  return implies(seen, written) ? [{ command, role, severity: isConstant(seen, false) || asksSession(written) ? 'warning' : 'error' }] : [];
}

function witnessOf({ command, role }: Weakness, table: CatalogRelation, landscape: Landscape): Witness | undefined {
  if (role.oid === 0 || !actsQuietly(table, command, landscape)) return undefined;
  const shows = `${role.name} reaches rows that it does not see`;
  if (command === 'Delete') return { role: role.name, kind: 'WritesUnseen', table: tableNameOf(table), command, shows };
  const column = table.columns.find((each) => isFree(each, table));
  return column === undefined ? undefined : { role: role.name, kind: 'WritesUnseen', table: tableNameOf(table), command, column: column.name, shows };
}

/** A column that can be set to NULL without any key, policy or constraint minding. */
function isFree(column: CatalogColumn, table: CatalogRelation): boolean {
  const keyed = table.indexes.some((index) => index.unique && index.columns.includes(column.name)) || table.foreignKeys.some((key) => key.columns.includes(column.name));
  return !column.notNull && !column.identity && !keyed && !table.policies.some((policy) => policy.columns.includes(column.name));
}

// Policies stand on the table that a query names: a partition or child that is named itself asks only its own.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import { effectiveCheck, effectiveRows } from './effective-rows.ts';
import { isConstant } from './implication.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { rolesListed, sqlRelation, tableNameOf, titled } from './words.ts';

const privileges = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;

export const partitionDirect: Lint = {
  id: 'partition-direct',
  severity: 'error',
  title: 'a partition is reached past its root',
  reason: 'Row security of a partitioned or inherited table is asked only by queries that name it; a query that names the partition or child asks that one, which has none.',
  fix: 'give the partition the policies of its root, or revoke every privilege on it: queries through the root do not need them',
  find: (landscape) => landscape.relations.flatMap((child) => finding(child, landscape)),
};

function finding(child: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  // A foreign table can have no row security, and has a lint of its own.
  if (child.rowSecurity || child.parents.length === 0 || child.kind === 'ForeignTable') return [];
  const root = landscape.ancestors(child).findLast((ancestor) => ancestor.rowSecurity);
  if (root === undefined) return [];
  // Where others use the root, its owner is not whom it holds back.
  const others = privileges.some((privilege) => landscape.subjects(root, privilege).some((role) => !landscape.roles.has(role.oid, root.owner)));
  const meant = (role: CatalogRole) => !others || !landscape.roles.has(role.oid, root.owner);
  const held = privileges
    .map((privilege) => ({ privilege, roles: landscape.subjects(child, privilege).filter((role) => meant(role) && isHeldBack(role, root, privilege, landscape)) }))
    .filter(({ roles }) => roles.length > 0);
  const [first] = held;
  if (first === undefined) return [];
  const everybody = landscape.roles.ordinary.filter((role) => held.some(({ roles }) => roles.includes(role)));
  const reader = held.find(({ privilege }) => privilege === 'SELECT')?.roles.find((role) => role.oid !== 0);
  return [
    {
      object: titled(child),
      tables: [titled(root)],
      why: `Row security is on for ${titled(root)} and off here, and ${rolesListed(everybody)} may ${held.map(({ privilege }) => privilege).join(', ')} here.`,
      fix: `ALTER TABLE ${sqlRelation(child)} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
      ...(reader === undefined
        ? {}
        : {
            witness: {
              role: reader.name,
              kind: 'ReadsPastRoot',
              relation: tableNameOf(child),
              through: tableNameOf(root),
              shows: `${reader.name} reads more rows here than the same rows through ${titled(root)} show it`,
            } as const,
          }),
    },
  ];
}

function isHeldBack(role: CatalogRole, root: CatalogRelation, privilege: (typeof privileges)[number], landscape: Landscape): boolean {
  if (!landscape.bound(role, root)) return false;
  if (privilege === 'INSERT') return !isConstant(effectiveCheck(role, root, 'Insert', landscape), true);
  const commands = { SELECT: 'Select', UPDATE: 'Update', DELETE: 'Delete' } as const;
  return !isConstant(effectiveRows(role, root, commands[privilege], landscape), true);
}

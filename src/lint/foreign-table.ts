// A foreign table cannot have row security: what it brings is for everybody who may read it.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type TenantColumns, tenantColumns } from './tenant-columns.ts';
import { listed, rolesListed, sqlRelation, sqlRoles, tableNameOf, titled } from './words.ts';

export const foreignTable: Lint = {
  id: 'foreign-table',
  severity: 'error',
  title: 'a foreign table has no row security',
  reason: 'PostgreSQL has no policies for foreign tables, and the remote server sees one user for all sessions. As a partition of a guarded table it is guarded only through its root.',
  fix: 'revoke every privilege on it, and let a security_barrier view or the root of its partitions show what each may see',
  find: (landscape) => {
    const tenants = tenantColumns(landscape);
    return landscape.relations.filter((relation) => relation.kind === 'ForeignTable').flatMap((relation) => finding(relation, tenants, landscape));
  },
};

function finding(table: CatalogRelation, tenants: TenantColumns, landscape: Landscape): readonly LintFinding[] {
  const root = landscape.ancestors(table).find((ancestor) => ancestor.rowSecurity);
  const columns = tenants.of(table);
  const neighbours = landscape.guarded.filter((other) => other.schema === table.schema || other === root);
  const roles = landscape.holders(table, 'SELECT').filter((role) => !landscape.roles.has(role.oid, table.owner) && neighbours.some((other) => landscape.bound(role, other)));
  if (roles.length === 0) return [];
  const grave = root !== undefined || columns.length > 0;
  const reader = grave ? roles.find((role) => role.oid !== 0) : undefined;
  const what = root !== undefined ? `It is part of ${titled(root)}, whose policies are asked only there` : columns.length > 0 ? `It has ${listed(columns)}, by which policies elsewhere part rows` : `It lies in ${table.schema} among tables under row security`;
  return [
    {
      object: titled(table),
      tables: [titled(root ?? table)],
      severity: grave ? 'error' : 'info',
      why: `${what}; ${rolesListed(roles)} may read every row of it.`,
      fix: `REVOKE ALL ON ${sqlRelation(table)} FROM ${sqlRoles(landscape.roles.among(table.grants, 'SELECT').filter((role) => role.oid !== table.owner))}`,
      ...(reader === undefined ? {} : { witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(table), shows: `${reader.name} reads rows that no policy stands before` } as const }),
    },
  ];
}

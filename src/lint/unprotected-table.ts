// A table without row security among tables that have it: forgotten, when the roles that policies bind get at it.
import type { CatalogRelation, CatalogRole, Oid } from '../policy/catalog.ts';
import { asksSession, sessionColumns } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding, Severity } from './lint.ts';
import { listed, rolesListed, sqlRelation, tableNameOf, titled } from './words.ts';

const writes = ['INSERT', 'UPDATE', 'DELETE'] as const;

export const unprotectedTable: Lint = {
  id: 'unprotected-table',
  severity: 'error',
  title: 'a table without row security beside tables that have it',
  reason: 'Where the other tables of a schema hold a role back, one that does not shows it every row. Grave where the table has the very column that policies elsewhere compare with the session.',
  fix: 'ALTER TABLE … ENABLE ROW LEVEL SECURITY and a policy; or revoke what the role does not need',
  find: (landscape) => {
    const neighbours = neighbourhoods(landscape);
    return landscape.relations
      .filter((table) => (table.kind === 'Table' || table.kind === 'PartitionedTable') && !table.rowSecurity && table.policies.length === 0 && table.parents.length === 0)
      .flatMap((table) => finding(table, neighbours, landscape));
  },
};

/** What the guarded tables of a schema have in common. */
interface Neighbourhood {
  /** Columns that their policies compare with the session. */
  readonly columns: ReadonlySet<string>;
  /** Roles that they hold back. */
  readonly bound: ReadonlySet<Oid>;
}

/** By schema, and under '' of the whole database. */
function neighbourhoods(landscape: Landscape): ReadonlyMap<string, Neighbourhood> {
  const bySchema = Map.groupBy(landscape.guarded, (table) => table.schema);
  return new Map([...bySchema, ['', landscape.guarded] as const].map(([schema, tables]) => [schema, neighbourhood(tables, landscape)]));
}

function neighbourhood(tables: readonly CatalogRelation[], landscape: Landscape): Neighbourhood {
  const expressions = tables.flatMap((table) => table.policies.flatMap((policy) => [policy.using, policy.check].filter((each) => each !== undefined)));
  const compared = expressions.filter(({ tree }) => asksSession(tree)).flatMap(({ tree }) => sessionColumns(tree));
  const bound = tables.flatMap((table) => landscape.holders(table, 'SELECT').filter((role) => landscape.bound(role, table)));
  return { columns: new Set(compared.filter((name) => name !== 'id')), bound: new Set(bound.map((role) => role.oid)) };
}

function finding(table: CatalogRelation, neighbours: ReadonlyMap<string, Neighbourhood>, landscape: Landscape): readonly LintFinding[] {
  const beside = neighbours.get(table.schema);
  const around = beside ?? neighbours.get('');
  if (around === undefined) return [];
  const held = (privilege: string): readonly CatalogRole[] => landscape.holders(table, privilege).filter((role) => around.bound.has(role.oid) && !landscape.roles.has(role.oid, table.owner));
  const readers = held('SELECT');
  const writers = writes.flatMap((privilege) => held(privilege));
  const roles = landscape.roles.ordinary.filter((role) => readers.includes(role) || writers.includes(role));
  if (roles.length === 0) return [];
  const shared = table.columns.map((column) => column.name).filter((name) => around.columns.has(name));
  // In a schema of its own it says something only by a column that policies elsewhere compare.
  if (beside === undefined && shared.length === 0) return [];
  const severity: Severity = beside === undefined ? 'warning' : shared.length > 0 ? 'error' : writers.length > 0 ? 'warning' : 'info';
  const reader = readers.find((role) => role.oid !== 0);
  return [
    {
      object: titled(table),
      tables: [titled(table)],
      severity,
      why: `${rolesListed(roles)} may ${writers.length > 0 ? 'write' : 'read'} it, no policy is asked, and other tables ${beside === undefined ? '' : 'of the schema '}do hold them back${shared.length === 0 ? '' : ` by ${listed(shared)}, which this table has, too`}.`,
      fix: `ALTER TABLE ${sqlRelation(table)} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
      ...(reader === undefined ? {} : { witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(table), shows: `${reader.name} reads rows, and no policy stands before them` } as const }),
    },
  ];
}

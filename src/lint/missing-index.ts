// Policies filter every query: without an index on what they compare, every query looks at every row.
import type { CatalogRelation } from '../policy/catalog.ts';
import { missingIndexes, type SoughtColumn } from '../policy/index-need.ts';
import { effectiveRows } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { listed, sqlName, sqlRelation, titled } from './words.ts';

export const missingIndex: Lint = {
  id: 'missing-index',
  severity: 'warning',
  title: 'policies filter by a column without an index',
  reason: 'The condition of a policy is part of every query. Without an index that begins with the column it compares, each query reads the rows of all tenants to find those of one.',
  fix: 'CREATE INDEX CONCURRENTLY ON … (…)',
  find: (landscape) => landscape.guarded.filter((table) => table.kind === 'Table' || table.kind === 'PartitionedTable').flatMap((table) => finding(table, landscape)),
};

/** Smaller ones are read in a few milliseconds, and a table that was never analysed may be empty. */
const worthwhileRows = 10_000;

function finding(table: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  const roles = landscape.holders(table, 'SELECT').filter((role) => landscape.bound(role, table));
  // Roles with the same policies have the same condition.
  const conditions = new Map(roles.map((role) => [landscape.policiesFor(role, table, 'Select').map((policy) => policy.name).join('\n'), role]));
  const needed = [...conditions.values()].flatMap((role) => missingIndexes(effectiveRows(role, table, 'Select', landscape), table)).map((sought) => costless(sought, table));
  const missing = needed.filter(({ column, as }) => as !== 'Column' || !table.indexes.some((index) => index.valid && !index.partial && index.columns[0] === column));
  if (missing.length === 0) return [];
  const columns = [...new Set(missing.map(({ column }) => column))];
  const casts = missing.filter(({ as }) => as !== 'Column').map(({ column }) => column);
  return [
    {
      object: titled(table),
      tables: [titled(table)],
      severity: table.rowEstimate >= worthwhileRows ? 'warning' : 'info',
      why: casts.length > 0 ? `Its policies cast or change ${listed(casts)} before they compare, so no index on the column itself serves them.` : `Its policies compare ${listed(columns)}, and no index begins with ${columns.length === 1 ? 'it' : 'them'}.`,
      fix: casts.length > 0 ? 'Cast the claim to the type of the column, and not the column' : columns.map((column) => `CREATE INDEX CONCURRENTLY ON ${sqlRelation(table)} (${sqlName(column)})`).join('; '),
    },
  ];
}

/** From varchar to text is no cast for an index; PostgreSQL writes it itself. */
function costless(sought: SoughtColumn, table: CatalogRelation): SoughtColumn {
  const type = table.columns.find((column) => column.name === sought.column)?.type ?? '';
  return sought.as === 'Cast' && /^character varying|^text/.test(type) ? { ...sought, as: 'Column' } : sought;
}

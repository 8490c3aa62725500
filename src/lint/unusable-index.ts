// Indexes that row security keeps queries from using: their operators are not leakproof, so policies have to be asked first.
import type { CatalogIndex, CatalogRelation } from '../policy/catalog.ts';
import { soughtColumns } from '../policy/index-need.ts';
import { claimsOf } from './claims.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies } from './policy-parts.ts';
import { asksUser } from './tenant-columns.ts';
import { titled } from './words.ts';

export const unusableIndex: Lint = {
  id: 'unusable-index',
  severity: 'info',
  title: 'row security keeps an index from being used',
  reason: 'What is not leakproof may see only rows that policies let through, so it cannot search an index of all rows: comparisons of numeric, enum, jsonb and arrays, LIKE, lower(), and other expressions.',
  fix: 'an index that begins with the column that the policies compare; or a column of a plain type (text, integer, uuid, timestamp) to search by',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    const asking = askedPolicies(landscape).filter(({ expressions }) => expressions.some(({ tree }) => asksUser(tree, claims)));
    return [...Map.groupBy(asking, ({ table }) => table)].flatMap(([table, asked]) => findingsOn(table, asked, landscape));
  },
};

function findingsOn(table: CatalogRelation, asked: readonly AskedPolicy[], landscape: Landscape): readonly LintFinding[] {
  // Queries go through the root, and the root has the index, too.
  if (landscape.ancestors(table).some((ancestor) => ancestor.rowSecurity)) return [];
  const sought = new Set(asked.flatMap(({ expressions }) => expressions.flatMap(({ tree }) => soughtColumns(tree, table))));
  return table.indexes.filter((index) => index.valid && !index.unique).flatMap((index) => finding(table, index, sought));
}

function finding(table: CatalogRelation, index: CatalogIndex, sought: ReadonlySet<string>): readonly LintFinding[] {
  const [leading] = index.columns;
  const column = table.columns.find((each) => each.name === leading);
  if (leading === undefined || (leading !== null && (column === undefined || column.leakproofEquality || sought.has(leading)))) return [];
  return [
    {
      object: `index ${index.name} on ${titled(table)}`,
      tables: [titled(table)],
      why: column === undefined ? 'It begins with an expression, and hardly any function is leakproof: roles that policies bind search the table without it.' : `Comparing ${column.name} (${column.type}) is not leakproof: roles that policies bind search the table without it.`,
      fix: sought.size > 0 ? `Let it begin with ${[...sought][0]}, which the policies compare` : 'Search by a column whose comparison is leakproof',
    },
  ];
}

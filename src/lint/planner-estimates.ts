// How many rows there are is no secret: the planner's estimates count those that policies hide.
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { listed, titled } from './words.ts';

export const plannerEstimates: Lint = {
  id: 'planner-estimates',
  severity: 'info',
  title: 'EXPLAIN tells how many rows other tenants have',
  reason: 'Statistics are gathered over all rows. pg_stats hides those of tables under row security, but EXPLAIN estimates with them, and pg_class.reltuples and the size of a table are for everybody to read.',
  fix: 'nothing in SQL: let no tenant run SQL of its own where numbers are a secret',
  find: (landscape) => finding(landscape),
};

function finding(landscape: Landscape): readonly LintFinding[] {
  const tables = landscape.guarded.filter((table) => landscape.holders(table, 'SELECT').some((role) => landscape.bound(role, table) && !landscape.roles.has(role.oid, table.owner)));
  if (tables.length === 0) return [];
  return [
    {
      object: 'database',
      tables: tables.map(titled),
      why: `Roles that policies bind can EXPLAIN queries on ${listed(tables.map(titled))}, whose estimates are made from the rows of everybody.`,
      fix: 'Let no tenant run SQL of its own where the number of rows, or how values are spread, is a secret',
    },
  ];
}

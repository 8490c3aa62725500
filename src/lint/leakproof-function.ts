// A function of the database's own that is declared LEAKPROOF: the planner hands it rows before policies are asked.
import type { CatalogFunction } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { functionTitled, rolesListed, sqlFunction, titled } from './words.ts';

export const leakproofFunction: Lint = {
  id: 'leakproof-function',
  severity: 'warning',
  title: 'a function is trusted with rows before policies are asked',
  reason: 'LEAKPROOF is a promise that nothing checks: no error, no message and no time tells what the arguments were. A function that breaks it hands rows out that policies hide.',
  fix: 'ALTER FUNCTION … NOT LEAKPROOF',
  find: (landscape) => landscape.catalog.functions.filter((each) => each.leakproof && each.extension === null && each.arguments !== '').flatMap((each) => finding(each, landscape)),
};

function finding(trusted: CatalogFunction, landscape: Landscape): readonly LintFinding[] {
  const callers = landscape.callers(trusted).filter((role) => !landscape.roles.has(role.oid, trusted.owner));
  const tables = landscape.guarded.filter((table) => callers.some((role) => landscape.bound(role, table) && landscape.holders(table, 'SELECT').includes(role)));
  if (tables.length === 0) return [];
  return [
    {
      object: functionTitled(trusted),
      tables: tables.map(titled),
      why: `It is declared LEAKPROOF, and ${rolesListed(callers)} may call it on tables under row security, where it is handed every row.`,
      fix: `ALTER ${sqlFunction(trusted)} NOT LEAKPROOF`,
    },
  ];
}

// A SECURITY DEFINER function reads or writes as its owner: whoever may call it gets what the owner gets.
import type { CatalogFunction, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import { calledFunctions, type CalledFunctions } from './called-functions.ts';
import { callersChoice } from './dynamic-sql.ts';
import { functionTables, type FunctionTables, type TableUse } from './function-tables.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding, Severity } from './lint.ts';
import { reachesAll } from './owner-reach.ts';
import { functionTitled, listed, rolesListed, sqlFunction, tableNameOf, titled } from './words.ts';

export const definerFunction: Lint = {
  id: 'definer-function',
  severity: 'error',
  title: 'a function lends the rights of its owner',
  reason: 'A SECURITY DEFINER function runs as its owner, whom the policies do not bind, and PostgreSQL lets PUBLIC execute every new function. What it does not ask its caller, nobody asks.',
  fix: 'SECURITY INVOKER; or REVOKE EXECUTE FROM PUBLIC, and a condition in the body that asks the claims of the caller',
  find: (landscape) => {
    const functions = calledFunctions(landscape);
    const around = { landscape, functions, tables: functionTables(landscape) };
    return landscape.catalog.functions.filter(isCallable).flatMap((each) => finding(each, around));
  },
};

interface Around {
  readonly landscape: Landscape;
  readonly functions: CalledFunctions;
  readonly tables: FunctionTables;
}

/** A trigger function cannot be called; an extension's answers for itself. */
function isCallable(each: CatalogFunction): boolean {
  return each.definer && each.extension === null && !/^(?:event_)?trigger$/.test(each.returns);
}

function finding(called: CatalogFunction, { landscape, functions, tables }: Around): readonly LintFinding[] {
  const owner = landscape.roles.role(called.owner);
  const choice = callersChoice(called);
  const uses = tables.usesOf(called).filter(({ relation, command }) => reachesAll(owner, relation, command, landscape));
  const chosen = choice === undefined ? [] : landscape.guarded.filter((table) => reachesAll(owner, table, 'Select', landscape));
  const reached = [...new Set([...uses.map(({ relation }) => relation), ...chosen])];
  const callers = landscape.callers(called).filter((role) => !landscape.roles.has(role.oid, called.owner) && reached.some((table) => landscape.bound(role, table)));
  const asks = functions.asksWhoCalls(called) && choice === undefined;
  if (isMembershipHelper(called)) return callers.length === 0 ? [] : [helperFinding(called, callers, reached)];
  const severity = choice !== undefined ? (choice === 'Statement' ? 'error' : 'warning') : asks ? (callers.some((role) => role.oid === 0) && called.schema !== 'rowseal' ? 'info' : undefined) : gravity(called, uses);
  if (callers.length === 0 || severity === undefined) return [];
  return [
    {
      object: functionTitled(called),
      tables: reached.map(titled),
      severity,
      why: `It ${choice === undefined ? verbs(uses) : choice === 'Statement' ? 'runs SQL that the caller writes, on' : 'reads what the caller names, also'} ${listed(reached.map(titled))} as ${owner?.name ?? 'its owner'}, whom no policy there holds back, ${asks ? 'and asks who calls it by itself' : 'and does not ask who calls it'}; ${rolesListed(callers)} may call it.`,
      fix: `REVOKE EXECUTE ON ${sqlFunction(called)} FROM PUBLIC${asks ? '' : `; or ALTER ${sqlFunction(called)} SECURITY INVOKER`}`,
      ...witnessOf(called, { severity, callers, reached, uses }),
    },
  ];
}

/** A lookup of ours: it gives a policy the caller's memberships, and takes the claims as arguments. */
function isMembershipHelper({ schema, name }: CatalogFunction): boolean {
  return schema === 'rowseal' && /^member_[0-9a-f]{24}$/.test(name);
}

function helperFinding(called: CatalogFunction, callers: readonly CatalogRole[], reached: readonly CatalogRelation[]): LintFinding {
  return {
    object: functionTitled(called),
    tables: reached.map(titled),
    severity: 'info',
    why: `A RowPolicy looks memberships up with it in ${listed(reached.map(titled))}; ${rolesListed(callers)} may call it with claims of its own making, and learn whose memberships are which.`,
    fix: 'Nothing, where memberships are no secret; else compare with a column instead of a membership',
  };
}

function gravity(called: CatalogFunction, uses: readonly TableUse[]): Severity | undefined {
  const found = new Set(uses.map(({ command }) => command));
  if (found.has('Delete') || found.has('Truncate') || (found.has('Update') && called.arguments === '')) return 'error';
  if (returnsRows(called)) return secretArgument.test(called.arguments) ? 'warning' : 'error';
  if (found.has('Update') || found.has('Insert')) return 'warning';
  if (called.returns === 'boolean') return 'info';
  return ['void', ''].includes(called.returns) ? undefined : 'warning';
}

/** What only those know to whom it was given: an invitation is looked up by it. */
const secretArgument = /(?:token|secret|hash|code|key)\b/i;

/** Sets, composite values, and documents made of rows. */
function returnsRows({ returns }: CatalogFunction): boolean {
  return /^(?:SETOF |TABLE\()/.test(returns) || ['json', 'jsonb', 'record', 'xml'].includes(returns) || /^[\w"]+\.[\w"]+$/.test(returns);
}

function verbs(uses: readonly TableUse[]): string {
  const writes = uses.some(({ command }) => command !== 'Select');
  const reads = uses.some(({ command }) => command === 'Select');
  return writes && reads ? 'reads and writes' : writes ? 'writes' : 'reads';
}

interface Shown {
  readonly severity: Severity;
  readonly callers: readonly CatalogRole[];
  readonly reached: readonly CatalogRelation[];
  readonly uses: readonly TableUse[];
}

/** Only a set of rows can be counted against what the caller sees, and only reading is tried. */
function witnessOf(called: CatalogFunction, { severity, callers, reached, uses }: Shown): Pick<LintFinding, 'witness'> {
  const caller = callers.find((role) => role.oid !== 0);
  const [table] = reached;
  if (severity !== 'error' || caller === undefined || table === undefined || called.arguments !== '' || !/^SETOF |^TABLE\(/.test(called.returns) || uses.some(({ command }) => command !== 'Select')) return {};
  return {
    witness: { role: caller.name, kind: 'CallReadsMore', call: { schema: called.schema, name: called.name }, table: tableNameOf(table), shows: `${caller.name} gets more rows from the function than it sees` },
  };
}

// A condition that calls a function for every row that is looked at, where once a statement would do.
import type { CatalogFunction, CatalogPolicy, CatalogRelation } from '../policy/catalog.ts';
import { type Expression, partsOf, partsThat } from '../policy/expression.ts';
import { calledFunctions, type CalledFunctions, type FunctionCall } from './called-functions.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, policyTitled } from './policy-parts.ts';
import { listed, titled } from './words.ts';

export const evaluatedPerRow: Lint = {
  id: 'evaluated-per-row',
  severity: 'warning',
  title: 'a function runs once a row',
  reason: 'A call that stands bare in a policy is evaluated for each row that no index sorts out before; wrapped in a scalar sub-query it is evaluated once a statement.',
  fix: 'write (select auth.uid()) for auth.uid(), and column = ANY (ARRAY(select …)) for is_member(column)',
  find: (landscape) => {
    const functions = calledFunctions(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, functions));
  },
};

function finding({ table, policy }: AskedPolicy, functions: CalledFunctions): readonly LintFinding[] {
  // WITH CHECK looks at the rows that are written, one by one whatever it says.
  if (policy.using === undefined) return [];
  const bare = bareCalls(policy.using.tree);
  const own = bare.filter((call) => call.schema !== undefined && functions.named(call.schema, call.name).some(isStable));
  const settings = bare.filter((call) => call.schema === undefined && call.name === 'current_setting');
  if (own.length === 0 && settings.length === 0) return correlated(policy, table);
  const named = [...new Set((own.length > 0 ? own : settings).map(({ schema, name }) => `${schema === undefined ? '' : `${schema}.`}${name}`))];
  const perRow = own.find((call) => partsThat(call, (part): part is Expression => part.kind === 'Column').length > 0);
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      // A setting is read in less than a microsecond; what a function of the database does is not known.
      severity: own.length > 0 ? 'warning' : 'info',
      why: `It calls ${listed(named)} for every row that is looked at.`,
      fix: perRow === undefined ? `Wrap each call in a scalar sub-query: (select ${named[0] ?? ''}(…))` : `Compare the column with a set that is computed once: … = ANY (ARRAY(select …))`,
    },
  ];
}

type QueryPart = Extract<Expression, { kind: 'Query' }>;

/** A sub-query that names the row: PostgreSQL may turn neither EXISTS nor IN of a policy into a join. */
function correlated(policy: CatalogPolicy, table: CatalogRelation): readonly LintFinding[] {
  const queries = policy.using === undefined ? [] : partsThat(policy.using.tree, (part): part is QueryPart => part.kind === 'Query');
  const naming = queries.find(({ where, args, form }) => [...(form === 'Any' ? args.slice(1) : args), ...(where === undefined ? [] : [where])].some((part) => namesRow(part, table)));
  if (naming === undefined) return [];
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      severity: 'info',
      why: `A sub-query on ${listed(naming.reads.map(({ schema, table: read }) => `${schema}.${read}`))} names the row, so it runs for every row that is looked at.`,
      fix: 'Compare the column with a set that is computed once: … = ANY (ARRAY(select …))',
    },
  ];
}

function namesRow(expression: Expression, table: CatalogRelation): boolean {
  return partsThat(expression, (part): part is Expression => part.kind === 'Column' && part.path.at(-2) === table.name).length > 0;
}

/** Calls outside of every sub-query; one inside it is evaluated once, or is the sub-query's own matter. */
function bareCalls(expression: Expression): readonly FunctionCall[] {
  if (expression.kind === 'Query') return expression.form === 'Any' || expression.form === 'All' ? expression.args.slice(0, 1).flatMap(bareCalls) : [];
  const inner = partsOf(expression).flatMap(bareCalls);
  return expression.kind === 'Function' ? [expression, ...inner] : inner;
}

/** An immutable function of constants is folded, and a volatile one has a lint of its own. */
function isStable({ volatility, extension }: CatalogFunction): boolean {
  return volatility === 'Stable' && extension === null;
}

// Which rows a role's policies leave it for a command, as one condition.
import type { CatalogPolicy, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import { type Expression, holds, partsThat } from '../policy/expression.ts';
import { always, isConstant, neverTrue } from './implication.ts';
import type { Landscape } from './landscape.ts';

export type RowCommand = 'Select' | 'Update' | 'Delete';

/** Permissive policies joined by OR, restrictive ones by AND; always where no policy is asked, never where none permits. */
export function effectiveRows(role: CatalogRole, table: CatalogRelation, command: RowCommand, landscape: Landscape): Expression {
  if (!landscape.bound(role, table)) return always;
  const policies = landscape.policiesFor(role, table, command);
  const permitted = policies.filter((policy) => policy.permissive).map((policy) => policy.using?.tree ?? always);
  const restricted = policies.filter((policy) => !policy.permissive).map((policy) => policy.using?.tree ?? always);
  if (permitted.length === 0) return neverTrue;
  return conjunction([...restricted, disjunction(permitted)]);
}

/** What an INSERT or the new row of an UPDATE has to fulfil; a policy without CHECK uses its USING, an INSERT policy without any denies. */
export function effectiveCheck(role: CatalogRole, table: CatalogRelation, command: 'Insert' | 'Update', landscape: Landscape): Expression {
  if (!landscape.bound(role, table)) return always;
  const policies = landscape.policiesFor(role, table, command);
  const checkOf = (policy: CatalogPolicy) => (policy.check ?? policy.using)?.tree ?? neverTrue;
  const permitted = policies.filter((policy) => policy.permissive).map(checkOf);
  if (permitted.length === 0) return neverTrue;
  return conjunction([...policies.filter((policy) => !policy.permissive).map(checkOf), disjunction(permitted)]);
}

/** Whether it looks at the row at all: a role that passes otherwise sees every row or none. */
export function asksRow(expression: Expression): boolean {
  return holds(expression, (part) => part.kind === 'Column');
}

/** Whether what it lets through depends on who asks: the user, a setting, or a function of the user's own, which may ask both. */
export function asksSession(expression: Expression): boolean {
  return holds(expression, (part) => {
    if (part.kind === 'SessionValue') return /user|role/.test(part.name);
    return part.kind === 'Function' && (part.schema !== undefined || sessionFunctions.has(part.name));
  });
}

/** Columns that the condition compares with the session, looks up in a sub-query, or hands to a function of the user's own; those beside them say nothing of whose a row is. */
export function sessionColumns(expression: Expression): readonly string[] {
  return partsThat(expression, isComparison).flatMap((part) => {
    const columns = part.args.flatMap((arg) => columnOf(arg) ?? []);
    if (part.kind === 'Query') return part.form === 'Any' ? columns.slice(0, 1) : [];
    return part.kind === 'Function' || part.args.some(asksSession) ? columns : [];
  });
}

type Comparison = Extract<Expression, { kind: 'Operator' | 'Function' | 'Query' }>;

function isComparison(part: Expression): part is Comparison {
  return part.kind === 'Operator' || part.kind === 'Query' || (part.kind === 'Function' && part.schema !== undefined);
}

/** The column that stands there, casts put aside. */
export function columnOf(expression: Expression): string | undefined {
  if (expression.kind === 'Cast') return columnOf(expression.args[0]);
  return expression.kind === 'Column' ? expression.path.at(-1) : undefined;
}

const sessionFunctions: ReadonlySet<string> = new Set(['current_setting', 'pg_has_role', 'inet_client_addr', 'pg_backend_pid', 'getpgusername']);

function disjunction(arms: readonly Expression[]): Expression {
  if (arms.some((arm) => isConstant(arm, true))) return always;
  const [only] = arms;
  return arms.length === 1 && only !== undefined ? only : { kind: 'Or', args: arms };
}

function conjunction(parts: readonly Expression[]): Expression {
  const needed = parts.filter((part) => !isConstant(part, true));
  const [only] = needed;
  if (only === undefined) return always;
  return needed.length === 1 ? only : { kind: 'And', args: needed };
}

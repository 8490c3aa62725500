// An SQL expression of the catalog as a tree that pure code can look at; an adapter parses it from the engine's own text.
import type { TableName } from './table-name.ts';

export type Expression =
  | { readonly kind: 'And' | 'Or'; readonly args: readonly Expression[] }
  | { readonly kind: 'Not'; readonly args: readonly [Expression] }
  /** `=`, `~~` (LIKE), `= ANY`, `IN`, `IS NULL`, `IS NOT NULL`, `IS DISTINCT FROM`, `IS NOT DISTINCT FROM`, `NULLIF`, `BETWEEN` … */
  | { readonly kind: 'Operator'; readonly operator: string; readonly args: readonly Expression[] }
  /** `[column]`, or `[relation, column]`. */
  | { readonly kind: 'Column'; readonly path: readonly string[] }
  | { readonly kind: 'Constant'; readonly value: string | number | boolean | null }
  /** Without schema for what pg_catalog holds. */
  | { readonly kind: 'Function'; readonly schema?: string; readonly name: string; readonly args: readonly Expression[] }
  /** `modifier` as in varchar(4): the cast cuts or rounds. */
  | { readonly kind: 'Cast'; readonly type: string; readonly modifier: boolean; readonly args: readonly [Expression] }
  /** current_user, session_user, current_date … */
  | { readonly kind: 'SessionValue'; readonly name: string }
  | QueryExpression
  | { readonly kind: 'Other'; readonly node: string; readonly args: readonly Expression[] };

export interface QueryExpression {
  readonly kind: 'Query';
  /** `test = ANY (query)` is what IN means, too. */
  readonly form: 'Exists' | 'Any' | 'All' | 'Scalar' | 'Array';
  readonly operator?: string;
  readonly reads: readonly TableName[];
  /** The test's expression, then what the query selects. */
  readonly args: readonly Expression[];
  /** Conditions of WHERE and joins, together. */
  readonly where?: Expression;
}

/** The parts of an expression, in order; those of a sub-query included. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'Column':
    case 'Constant':
    case 'SessionValue':
      return [];
    case 'Query':
      return expression.where === undefined ? expression.args : [...expression.args, expression.where];
    default:
      return expression.args;
  }
}

/** Whether the expression or any part of it, however deep, fulfils the condition. */
export function holds(expression: Expression, condition: (part: Expression) => boolean): boolean {
  return condition(expression) || partsOf(expression).some((part) => holds(part, condition));
}

/** Every part that fulfils the condition, outermost first; the expression itself included. */
export function partsThat<Part extends Expression>(expression: Expression, condition: (part: Expression) => part is Part): readonly Part[] {
  const found: Part[] = [];
  const visit = (part: Expression): void => {
    if (condition(part)) found.push(part);
    for (const inner of partsOf(part)) visit(inner);
  };
  visit(expression);
  return found;
}

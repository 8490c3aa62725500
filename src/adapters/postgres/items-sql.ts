// Several values as one SQL array: literals, the items of a claim, or a function's array.
import type { Items } from '../../policy/predicate.ts';
import { claimItemsSql, claimSetSql, knownArraySql, textItemsSql, textSetSql } from './claim-sql.ts';
import { callSql, literalSql, typeOf, usesRow } from './operand-sql.ts';
import type { PredicateScope } from './predicate-scope.ts';
import { isArray, isTextual, type SqlType, unfit } from './sql-type.ts';

/** For In or for the set operators: how what is missing is said differs. */
export type Purpose = 'in' | 'set';

/** An array whose items are of `element`; an item that can't be is NULL. Undefined for operands that are a single value. */
export function itemsSql(items: Items, { element, purpose }: { readonly element: SqlType; readonly purpose: Purpose }, scope: PredicateScope): string | undefined {
  const { session } = scope;
  if (items.kind === 'values') return `array[${items.values.map((value) => literalSql(value, element, scope)).join(', ')}]`;
  if (items.kind === 'claim') return noted((purpose === 'in' ? claimItemsSql : claimSetSql)(items.path, element, session), scope);
  if (items.kind !== 'function') return undefined;
  const type = typeOf(items, scope);
  if (type === undefined || !isArray(type)) return undefined;
  if (!usesRow(items)) return noted((purpose === 'in' ? textItemsSql : textSetSql)(callSql(items, scope), element, session), scope);
  if (!isTextual(element)) throw unfit(`${items.name} of a column returns text, and not ${element.name}`, 'compare it with a column of text');
  return callSql(items, scope);
}

function noted(array: string, { known }: PredicateScope): string {
  known?.add(`${knownArraySql(array)} is not null`);
  return array;
}

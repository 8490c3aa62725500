// Contains and Overlaps: arrays, claims that hold arrays, ranges, jsonb and networks.
import type { Comparison, Items, Operand } from '../../policy/predicate.ts';
import { knownArraySql } from './claim-sql.ts';
import { itemsSql } from './items-sql.ts';
import { operandSql, typeOf, usesRow } from './operand-sql.ts';
import type { PredicateScope } from './predicate-scope.ts';
import { builtInType, isArray, isBuiltIn, operatorSql, requireOrdered, sameType, type SqlType, textType, typeSql, unfit } from './sql-type.ts';

type SetTerm = Extract<Comparison, { kind: 'set' }>;

/** Throws BadPredicate for a left side that contains nothing. */
export function setSql(term: SetTerm, scope: PredicateScope): string {
  const type = typeOf(term.left, scope);
  if (type === undefined ? term.left.kind === 'claim' : isArray(type)) return arraysSql(term, scope);
  if (type !== undefined && term.left.kind === 'column') {
    if (type.category === 'R' && type.element !== undefined) return negated(rangeSql(term, type, scope), term);
    if (isBuiltIn(type, 'jsonb') && term.op === 'Contains') return negated(`${operandSql(term.left, type, scope)} @> ${oneSql(term, type, scope)}`, term);
    if (isBuiltIn(type, 'inet', 'cidr')) return negated(networkSql(term, scope), term);
  }
  const what = type === undefined ? 'this side' : `a value of type ${type.name}`;
  throw unfit(`${term.op} can't be asked of ${what}`, `the left side of ${term.op} is an array, a range, ${term.op === 'Contains' ? 'jsonb, ' : ''}a network, or a claim that holds a JSON array`);
}

function negated(condition: string, { not }: SetTerm): string {
  return not ? `not (${condition})` : condition;
}

function rangeSql(term: SetTerm, type: SqlType & { readonly element?: SqlType }, scope: PredicateScope): string {
  const own = term.right.kind === 'values' ? undefined : typeOf(term.right, scope);
  const whole = term.op === 'Overlaps' || (own !== undefined && sameType(own, type));
  const operator = term.op === 'Contains' ? '@>' : '&&';
  return `${operandSql(term.left, type, scope)} ${operator} ${oneSql(term, whole ? type : (type.element ?? type), scope)}`;
}

function networkSql(term: SetTerm, scope: PredicateScope): string {
  const type = builtInType('inet', 'I');
  return `${operandSql(term.left, type, scope)} ${term.op === 'Contains' ? '>>=' : '&&'} ${oneSql(term, type, scope)}`;
}

function oneSql(term: SetTerm, type: SqlType, scope: PredicateScope): string {
  if (term.right.kind === 'values') throw unfit(`values goes with arrays, and not with ${type.name}`, 'write value');
  return operandSql(term.right, type, scope);
}

interface Side {
  readonly sql: string;
  readonly single: boolean;
  /** Holds when no item is unknown; none where that can't be. */
  readonly guard?: string;
}

function arraysSql({ op, left, right, not }: SetTerm, scope: PredicateScope): string {
  const element = elementOf(left, right, scope);
  requireOrdered(element);
  const [outer, inner] = [sideOf(left, element, not, scope), sideOf(right, element, not, scope)];
  if (outer.single) throw unfit(`${op} needs an array on its left side`, 'use In for a single value');
  if (inner.single) return containsOne({ outer, inner, not, element, byIndex: left.kind === 'column' && right.kind !== 'column' });
  const condition = `${outer.sql} ${op === 'Contains' ? '@>' : '&&'} ${inner.sql}`;
  if (!not) return condition;
  const guards = [outer.guard, inner.guard].filter((guard) => guard !== undefined);
  return `(${[...guards, `not (${condition})`].join(' and ')})`;
}

/** `@>` where an index on the array can answer it; `= any` where NULL items must leave it unknown. */
function containsOne({ outer, inner, not, element, byIndex }: { outer: Side; inner: Side; not: boolean; element: SqlType; byIndex: boolean }): string {
  // Without the cast a subselect in its place would be read as a list of rows.
  const among = `${inner.sql} ${operatorSql('=', element)} any (cast(${outer.sql} as ${typeSql(element)}[]))`;
  if (not) return `(${inner.sql} is not null and not (${among}))`;
  return byIndex ? `${outer.sql} @> array[${inner.sql}]` : among;
}

/** The type of one item: what an array column holds, else the type of a single column, else text. */
function elementOf(left: Operand, right: Items, scope: PredicateScope): SqlType {
  const types = [left, right].flatMap((side) => (side.kind !== 'values' && usesRow(side) ? (typeOf(side, scope) ?? []) : []));
  const array = types.find(isArray);
  return array?.element ?? types[0] ?? textType;
}

function sideOf(side: Items, element: SqlType, not: boolean, scope: PredicateScope): Side {
  const own = side.kind === 'values' ? undefined : typeOf(side, scope);
  if (side.kind === 'column' && own !== undefined && isArray(own)) {
    if (!sameType(own.element, element)) throw unfit(`an array of ${own.element.name} is compared with one of ${element.name}`, 'compare arrays of one type');
    return guarded(operandSql(side, own, scope));
  }
  const array = itemsSql(side, { element, purpose: 'set' }, scope);
  if (array === undefined) return { sql: side.kind === 'values' ? '' : operandSql(side, element, scope), single: true };
  if (side.kind === 'function' && usesRow(side)) return guarded(array);
  return { sql: not && side.kind !== 'values' ? knownArraySql(array) : array, single: false };
}

function guarded(sql: string): Side {
  return { sql, single: false, guard: `not exists (select from unnest(${sql}) as i(item) where i.item is null)` };
}

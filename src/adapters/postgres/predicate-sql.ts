// Predicate trees as SQL expressions (DESIGN §3, Predicates). Whatever is unknown is NULL or false, so it denies.
import { type Alternatives, columnsOf, type Comparison, type ComparisonOp, type Membership, type Operand, operandsOf, type Predicate, type Term } from '../../policy/predicate.ts';
import { claimMissingSql, settingSql } from './claim-sql.ts';
import { faithfulText } from './faithful-text.ts';
import { itemsSql } from './items-sql.ts';
import { operandSql, typeOf, usesRow } from './operand-sql.ts';
import { columnOf, type PredicateScope } from './predicate-scope.ts';
import { setSql } from './set-sql.ts';
import { isArray, operatorSql, requireComparable, requireOrdered, type SqlType, textType, unfit } from './sql-type.ts';

const operators: Readonly<Record<ComparisonOp, string>> = { Eq: '=', Ne: '<>', Lt: '<', Lte: '<=', Gt: '>', Gte: '>=' };

/** The expression of a predicate. Throws DatabaseObjectMissing for a column that is not there, BadPredicate for types that don't fit. */
export function predicateSql(predicate: Predicate, scope: PredicateScope): string {
  // The text stands on lines of its own, so that a trailing comment can't swallow the parenthesis.
  if (predicate.kind === 'sql') return `(\n${faithfulText(predicate.text)}\n)`;
  return alternativesSql(predicate.alternatives, scope);
}

export function alternativesSql(alternatives: Alternatives, scope: PredicateScope): string {
  const rendered = alternatives.map((terms) => terms.map((term) => termSql(term, scope)).join(' and '));
  return rendered.length === 1 ? (rendered[0] ?? 'false') : rendered.map((alternative) => `(${alternative})`).join(' or ');
}

function termSql(term: Term, scope: PredicateScope): string {
  if (term.kind === 'member') return memberSql(term, scope);
  const operands = operandsOf(term);
  requireOneCollation(operands, scope);
  const sql = comparisonSql(term, scope);
  // What only looks at the session is asked once a query, and not at every row.
  return term.kind === 'isNull' || operands.some(usesRow) ? sql : `(select ${sql})`;
}

function comparisonSql(term: Comparison, scope: PredicateScope): string {
  switch (term.kind) {
    case 'isNull':
      return isNullSql(term.operand, term.not, scope);
    case 'compare':
      return compareSql(term, scope);
    case 'in':
      return inSql(term, scope);
    case 'set':
      return setSql(term, scope);
  }
}

/** Two collations without a choice between them would be an error, to every client and at every row. */
function requireOneCollation(operands: readonly Operand[], { table }: PredicateScope): void {
  const collations = new Set(operands.flatMap(columnsOf).flatMap((name) => columnOf(name, table).collation ?? []));
  if (collations.size > 1) throw unfit(`columns of the collations ${[...collations].join(' and ')} are compared`, 'compare columns of one collation');
}

function compareSql({ op, left, right, not }: Extract<Comparison, { kind: 'compare' }>, scope: PredicateScope): string {
  const type = commonType(left, right, scope);
  requireOrdered(type);
  const compared = `${operandSql(left, type, scope)} ${operatorSql(operators[op], type)} ${operandSql(right, type, scope)}`;
  return not ? `not (${compared})` : compared;
}

/** The type both sides are compared as: that of the side which is of the row, else that of a side with a type, else text. */
function commonType(left: Operand, right: Operand, scope: PredicateScope): SqlType {
  const sides = [left, right];
  const [first, second] = sides.filter(usesRow).flatMap((side) => typeOf(side, scope) ?? []);
  if (first !== undefined && second !== undefined) requireComparable(first, second);
  return first ?? sides.flatMap((side) => typeOf(side, scope) ?? [])[0] ?? textType;
}

/** Without any claims a missing claim is unknown, not absent. */
function isNullSql(operand: Operand, not: boolean, scope: PredicateScope): string {
  if (operand.kind === 'claim') {
    const missing = claimMissingSql(operand.path, scope.session);
    scope.known?.add(`${missing} is not null`);
    return not ? `not ${missing}` : missing;
  }
  const value = operand.kind === 'setting' ? settingSql(operand.name, textType, scope.session) : operandSql(operand, typeOf(operand, scope) ?? textType, scope);
  return `${value} is ${not ? 'not ' : ''}null`;
}

function inSql({ left, items, not }: Extract<Comparison, { kind: 'in' }>, scope: PredicateScope): string {
  const type = typeOf(left, scope) ?? textType;
  if (isArray(type)) throw unfit('In needs a single value on its left side', 'use Contains or Overlaps for an array');
  const array = itemsSql(items, { element: type, purpose: 'in' }, scope);
  if (array === undefined) throw unfit('In takes values, a claim that holds a JSON array, or a function that returns an array', 'correct the right side');
  return anySql({ left, type, not }, array, scope);
}

/** `x = any (array)`. Negated, an unknown x must not slip through an empty array. */
function anySql({ left, type, not }: { readonly left: Operand; readonly type: SqlType; readonly not: boolean }, array: string, scope: PredicateScope): string {
  requireOrdered(type);
  const item = operandSql(left, type, scope);
  const among = `${item} ${operatorSql('=', type)} any (${array})`;
  return not ? `(${item} is not null and not (${among}))` : among;
}

/** A negated membership needs every value of the session that its lookup uses to be known: with an unknown one nobody would be a member. */
function memberSql(member: Membership, scope: PredicateScope): string {
  const known = member.not ? new Set<string>() : scope.known;
  const { array, type } = scope.membership(member, known === undefined ? scope : { ...scope, known });
  const among = anySql({ left: member.left, type, not: member.not }, array, scope);
  if (!member.not || known === undefined || known.size === 0) return among;
  for (const condition of known) scope.known?.add(condition);
  return `(${[...[...known].map((condition) => `(${condition})`), among].join(' and ')})`;
}

// Predicate trees as SQL expressions (DESIGN §3, Predicates). Whatever is unknown is NULL or false, so it denies.
import { RowsealError } from '../../model/errors.ts';
import type { ObservedColumn, ObservedTable } from '../../policy/observed.ts';
import type { Comparison, ComparisonOp, Membership, Operand, Predicate, Term } from '../../policy/predicate.ts';
import { describeTable } from '../../policy/table-name.ts';
import { type ClaimSource, claimItemsSql, claimKnownSql, claimSql, comparableType, literalSql, roleSql, type SqlType, textType } from './claim-sql.ts';
import { quoteName } from './quote.ts';

/** Where an expression is evaluated: over whose columns, and how it reads the session. */
export interface PredicateScope {
  readonly table: ObservedTable;
  /** Prefix of columns, such as `m.`; empty in the policy's own table. */
  readonly prefix: string;
  readonly claims: ClaimSource;
  /** The current role as text: `current_user`, or a parameter where the code runs as somebody else. */
  readonly role: string;
  /** An array of the membership's values, whichever way it may be read. */
  readonly membership: (member: Membership) => string;
}

const operators: Readonly<Record<ComparisonOp, string>> = { Eq: '=', Ne: '<>', Lt: '<', Lte: '<=', Gt: '>', Gte: '>=' };

/** The expression of a predicate. Throws DatabaseObjectMissing for a column that is not there. */
export function predicateSql(predicate: Predicate, scope: PredicateScope): string {
  // The text stands on lines of its own, so that a trailing comment can't swallow the parenthesis.
  if (predicate.kind === 'sql') return `(\n${predicate.text}\n)`;
  const alternatives = predicate.alternatives.map((terms) => terms.map((term) => termSql(term, scope)).join(' and '));
  return alternatives.length === 1 ? (alternatives[0] ?? 'false') : alternatives.map((alternative) => `(${alternative})`).join(' or ');
}

/** Comparisons that must all hold. */
export function whereSql(terms: readonly Comparison[], scope: PredicateScope): string {
  return terms.map((term) => comparisonSql(term, scope)).join(' and ');
}

function termSql(term: Term, scope: PredicateScope): string {
  return term.kind === 'member' ? memberSql(term, scope) : comparisonSql(term, scope);
}

function comparisonSql(term: Comparison, scope: PredicateScope): string {
  switch (term.kind) {
    case 'isNull':
      return `${operandSql(term.operand, operandType(term.operand, scope), scope)} is ${term.not ? 'not ' : ''}null`;
    case 'compare': {
      const column = [term.left, term.right].find((operand) => operand.kind === 'column');
      const type = column === undefined ? textType : operandType(column, scope);
      const compared = `${operandSql(term.left, type, scope)} ${operatorSql(operators[term.op], column, scope)} ${operandSql(term.right, type, scope)}`;
      return term.not ? `not (${compared})` : compared;
    }
    case 'inValues': {
      const type = operandType(term.left, scope);
      return anySql(term, `array[${term.values.map((value) => literalSql(value, type)).join(', ')}]`, scope);
    }
    case 'inClaim':
      return anySql(term, claimItemsSql(term.path, operandType(term.left, scope), scope.claims), scope);
  }
}

/** `x = any (array)`. Negated, an unknown x must not slip through an empty array. */
function anySql(term: { readonly left: Operand; readonly not: boolean }, array: string, scope: PredicateScope): string {
  const left = operandSql(term.left, operandType(term.left, scope), scope);
  const among = `${left} ${operatorSql('=', term.left, scope)} any (${array})`;
  return term.not ? `(${left} is not null and not (${among}))` : among;
}

/** A negated membership needs every claim of its lookup to be known: with an unknown one nobody would be a member. */
function memberSql(member: Membership, scope: PredicateScope): string {
  const among = anySql({ left: { kind: 'column', name: member.column }, not: member.not }, scope.membership(member), scope);
  if (!member.not) return among;
  const known = member.where.flatMap(claimsOf).map((path) => claimKnownSql(path, scope.claims));
  return known.length === 0 ? among : `(${[...new Set(known), among].join(' and ')})`;
}

function claimsOf(term: Comparison): readonly (readonly string[])[] {
  switch (term.kind) {
    case 'isNull':
      return [];
    case 'compare':
      return [term.left, term.right].flatMap((operand) => (operand.kind === 'claim' ? [operand.path] : []));
    case 'inValues':
      return term.left.kind === 'claim' ? [term.left.path] : [];
    case 'inClaim':
      return [term.path];
  }
}

function operandSql(operand: Operand, type: SqlType, scope: PredicateScope): string {
  switch (operand.kind) {
    case 'column':
      return `${scope.prefix}${quoteName(columnOf(operand.name, scope.table).name)}`;
    case 'claim':
      return claimSql(operand.path, type, scope.claims);
    case 'literal':
      return literalSql(operand.text, type);
    case 'currentRole':
      return roleSql(scope.role, type, scope.claims);
  }
}

/** What the other side is cast to: the column's base type without modifier, text where no column is compared. */
function operandType(operand: Operand, scope: PredicateScope): SqlType {
  return operand.kind === 'column' ? columnType(columnOf(operand.name, scope.table)) : textType;
}

export function columnType(column: ObservedColumn): SqlType {
  return comparableType({ ...column.baseType, softInput: column.softInput });
}

/** Operators of a type outside pg_catalog (citext) are named by schema, or its `=` would silently be that of text. */
function operatorSql(operator: string, operand: Operand | undefined, scope: PredicateScope): string {
  const schema = operand?.kind === 'column' ? columnOf(operand.name, scope.table).operatorSchema : 'pg_catalog';
  return schema === 'pg_catalog' ? operator : `operator(${quoteName(schema)}.${operator})`;
}

export function columnOf(name: string, table: ObservedTable): ObservedColumn {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw new RowsealError('DatabaseObjectMissing', `column ${JSON.stringify(name)} of table ${describeTable(table.table)} does not exist`, {
    object: `column ${describeTable(table.table)}.${name}`,
    next: 'add the column, or correct its name in the manifest',
  });
}

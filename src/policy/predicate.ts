// The predicate tree: what a manifest's terms mean, as discriminated unions that any engine can compile (DESIGN §3, Predicates).
import type { TableName } from './table-name.ts';

export type ComparisonOp = 'Eq' | 'Ne' | 'Lt' | 'Lte' | 'Gt' | 'Gte';
export type IntervalUnit = 'second' | 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year';

export interface Interval {
  readonly sign: '+' | '-';
  readonly amount: number;
  readonly unit: IntervalUnit;
}

export type Operand =
  | { readonly kind: 'column'; readonly name: string }
  | { readonly kind: 'claim'; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'currentRole' }
  /** A session setting that holds plain text; unknown when it is unset or empty. */
  | { readonly kind: 'setting'; readonly name: string }
  /** When the transaction began, moved by an interval. */
  | { readonly kind: 'now'; readonly offset?: Interval }
  | { readonly kind: 'function'; readonly name: string; readonly args: readonly Operand[] };

/** Several values: literals, the items of a claim that holds a JSON array, a function's array, or an array column. */
export type Items = { readonly kind: 'values'; readonly values: readonly string[] } | Operand;

/** A condition over one row and the session. `not` negates it; an unknown stays unknown, so it denies either way. */
export type Comparison =
  | { readonly kind: 'compare'; readonly op: ComparisonOp; readonly left: Operand; readonly right: Operand; readonly not: boolean }
  | { readonly kind: 'in'; readonly left: Operand; readonly items: Items; readonly not: boolean }
  | { readonly kind: 'set'; readonly op: 'Contains' | 'Overlaps'; readonly left: Operand; readonly right: Items; readonly not: boolean }
  | { readonly kind: 'isNull'; readonly operand: Operand; readonly not: boolean };

export interface Membership {
  readonly kind: 'member';
  /** What must be among the values: mostly a column of the governed table, or a claim. */
  readonly left: Operand;
  readonly table: TableName;
  /** The column of the table looked up whose values count. */
  readonly column: string;
  /** Alternatives of terms over that table: which of its rows count. None: all of them. */
  readonly where: Alternatives;
  readonly not: boolean;
  /** Said by the compiler: the rows are read past row security, and not with the querying role's own eyes. */
  readonly past?: boolean;
}

export type Term = Comparison | Membership;

/** One of the alternatives must hold; an alternative holds when all of its terms do. */
export type Alternatives = readonly (readonly Term[])[];

export type Predicate = { readonly kind: 'tree'; readonly alternatives: Alternatives } | { readonly kind: 'sql'; readonly text: string };

/** Every term of a predicate over the governed table itself; nothing for `sql`. */
function termsOf(predicate: Predicate | undefined): readonly Term[] {
  return predicate?.kind === 'tree' ? predicate.alternatives.flat() : [];
}

/** Every membership, those inside others included, outermost first. */
export function membershipsOf(predicate: Predicate | undefined): readonly Membership[] {
  const within = (terms: readonly Term[]): readonly Membership[] =>
    terms.flatMap((term) => (term.kind === 'member' ? [term, ...within(term.where.flat())] : []));
  return within(termsOf(predicate));
}

/** The same predicate with each membership, the innermost first, put through `change`. */
export function mapMemberships(predicate: Predicate, change: (member: Membership) => Membership): Predicate {
  const mapAlternatives = (alternatives: Alternatives): Alternatives => alternatives.map((terms) => terms.map(mapTerm));
  const mapTerm = (term: Term): Term => (term.kind === 'member' ? change({ ...term, where: mapAlternatives(term.where) }) : term);
  return predicate.kind === 'sql' ? predicate : { kind: 'tree', alternatives: mapAlternatives(predicate.alternatives) };
}

/** The columns that an operand reads, in arguments of functions as well. */
export function columnsOf(operand: Operand): readonly string[] {
  if (operand.kind === 'function') return operand.args.flatMap(columnsOf);
  return operand.kind === 'column' ? [operand.name] : [];
}

/** The operands of a comparison, arguments of functions left out. */
export function operandsOf(term: Comparison): readonly Operand[] {
  switch (term.kind) {
    case 'isNull':
      return [term.operand];
    case 'compare':
      return [term.left, term.right];
    case 'in':
      return term.items.kind === 'values' ? [term.left] : [term.left, term.items];
    case 'set':
      return term.right.kind === 'values' ? [term.left] : [term.left, term.right];
  }
}

// The predicate tree: what a manifest's terms mean, as discriminated unions that any engine can compile (DESIGN §3, Predicates).
import type { Static } from 'typebox';
import { RowsealError } from '../model/errors.ts';
import type { predicate as predicateSchema } from '../model/schema/predicate.ts';

export type ComparisonOp = 'Eq' | 'Ne' | 'Lt' | 'Lte' | 'Gt' | 'Gte';

export type Operand =
  | { readonly kind: 'column'; readonly name: string }
  | { readonly kind: 'claim'; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'currentRole' };

/** A condition over one row and the session. `not` negates it; an unknown stays unknown, so it denies either way. */
export type Comparison =
  | { readonly kind: 'compare'; readonly op: ComparisonOp; readonly left: Operand; readonly right: Operand; readonly not: boolean }
  | { readonly kind: 'inValues'; readonly left: Operand; readonly values: readonly string[]; readonly not: boolean }
  | { readonly kind: 'inClaim'; readonly left: Operand; readonly path: readonly string[]; readonly not: boolean }
  | { readonly kind: 'isNull'; readonly operand: Operand; readonly not: boolean };

export interface Membership {
  readonly kind: 'member';
  /** The outer column. */
  readonly column: string;
  readonly table: { readonly schema: string; readonly table: string };
  /** The column of the membership table that must equal the outer column. */
  readonly memberColumn: string;
  /** Terms over columns of the membership table; all must hold. */
  readonly where: readonly Comparison[];
  readonly not: boolean;
}

export type Term = Comparison | Membership;

export type Predicate =
  /** One of the alternatives must hold; an alternative holds when all of its terms do. */
  | { readonly kind: 'tree'; readonly alternatives: readonly (readonly Term[])[] }
  | { readonly kind: 'sql'; readonly text: string };

type PredicateSpec = Static<typeof predicateSchema>;
type TermSpec = NonNullable<PredicateSpec['all']>[number];
type ComparisonSpec = Omit<TermSpec, 'member'>;

/** The tree of a validated manifest predicate; `schema` is where membership tables are when they name none. Throws BadPredicate. */
export function parsePredicate(spec: PredicateSpec, schema: string): Predicate {
  if (spec.sql !== undefined) return { kind: 'sql', text: spec.sql };
  const alternatives = spec.any?.map((alternative) => alternative.all) ?? (spec.all ? [spec.all] : []);
  if (alternatives.length === 0) throw new RowsealError('BadPredicate', 'a predicate has no terms', { next: 'give it all, any or sql' });
  return { kind: 'tree', alternatives: alternatives.map((terms) => terms.map((term) => parseTerm(term, schema))) };
}

/** Every term of a predicate, memberships' inner terms left out; nothing for `sql`. */
export function termsOf(predicate: Predicate | undefined): readonly Term[] {
  return predicate?.kind === 'tree' ? predicate.alternatives.flat() : [];
}

function parseTerm(term: TermSpec, schema: string): Term {
  if (term.member === undefined) return parseComparison(term);
  if (term.column === undefined) throw malformed('a membership needs column');
  return {
    kind: 'member',
    column: term.column,
    table: { schema: term.member.schema ?? schema, table: term.member.table },
    memberColumn: term.member.column,
    where: term.member.where.all.map(parseComparison),
    not: term.not ?? false,
  };
}

function parseComparison(term: ComparisonSpec): Comparison {
  const not = term.not ?? false;
  const operands = operandsOf(term);
  const [left, right] = operands;
  if (left === undefined || term.op === undefined) throw malformed('a comparison needs op and a column, a claim or currentRole');
  if (term.op === 'IsNull') return { kind: 'isNull', operand: left, not };
  if (term.op !== 'In') {
    if (right === undefined) throw malformed(`${term.op} needs a right side`);
    return { kind: 'compare', op: term.op, left, right, not };
  }
  if (term.values !== undefined) return { kind: 'inValues', left, values: term.values, not };
  // `currentRole In claim` has its claim first among the operands; the claim is the list all the same.
  if (term.claim === undefined) throw malformed('In takes values, or a claim that holds a JSON array');
  const item = operands.find((operand) => operand.kind !== 'claim');
  if (item === undefined) throw malformed('In needs a column or currentRole beside its claim');
  return { kind: 'inClaim', left: item, path: term.claim, not };
}

/** Left side first: column, else claim, else currentRole; the schema's rules have ensured how many there are. */
function operandsOf(term: ComparisonSpec): readonly Operand[] {
  const operands: Operand[] = [];
  if (term.column !== undefined) operands.push({ kind: 'column', name: term.column });
  if (term.claim !== undefined) operands.push({ kind: 'claim', path: term.claim });
  if (term.currentRole !== undefined) operands.push({ kind: 'currentRole' });
  if (term.value !== undefined) operands.push({ kind: 'literal', text: term.value });
  if (term.otherColumn !== undefined) operands.push({ kind: 'column', name: term.otherColumn });
  return operands;
}

function malformed(message: string): RowsealError {
  return new RowsealError('BadPredicate', message, { next: 'correct the predicate in the manifest' });
}

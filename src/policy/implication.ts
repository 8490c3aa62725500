// When one comparison implies another: the obvious cases, over all types alike except where a column is known to be an integer.
import type { Comparison, ComparisonOp, Operand } from './predicate.ts';
import { operandsOf } from './predicate.ts';

export interface Facts {
  /** Whether a column of the table holds integers, so that literals can be compared as numbers. */
  readonly isInteger: (column: string) => boolean;
}

type Compare = Extract<Comparison, { kind: 'compare' }>;
type In = Extract<Comparison, { kind: 'in' }>;
type SetTerm = Extract<Comparison, { kind: 'set' }>;

/** A comparison in which `not` was carried into the operator, and a single literal stands as a list of one. */
export type Normal = Comparison;

const opposites: Readonly<Record<ComparisonOp, ComparisonOp>> = { Eq: 'Ne', Ne: 'Eq', Lt: 'Gte', Gte: 'Lt', Gt: 'Lte', Lte: 'Gt' };
const weakerOps: Readonly<Record<ComparisonOp, readonly ComparisonOp[]>> = { Eq: ['Eq', 'Lte', 'Gte'], Ne: ['Ne'], Lt: ['Lt', 'Lte', 'Ne'], Lte: ['Lte'], Gt: ['Gt', 'Gte', 'Ne'], Gte: ['Gte'] };

export function normalForm(term: Comparison): Normal {
  if (term.kind === 'set' && term.right.kind === 'literal') return { ...term, right: { kind: 'values', values: [term.right.text] } };
  if (term.kind !== 'compare') return term;
  const op = term.not ? opposites[term.op] : term.op;
  if ((op === 'Eq' || op === 'Ne') && term.right.kind === 'literal') return { kind: 'in', left: term.left, items: { kind: 'values', values: [term.right.text] }, not: op === 'Ne' };
  return { ...term, op, not: false };
}

export function impliesComparison(stronger: Normal, weaker: Normal, facts: Facts): boolean {
  if (canonical(stronger) === canonical(weaker)) return true;
  if (weaker.kind === 'isNull') return weaker.not && stronger.kind !== 'isNull' && isColumnOf(weaker.operand, stronger);
  if (stronger.kind === 'isNull' || canonical(stronger.left) !== canonical(weaker.left)) return false;
  if (stronger.kind === 'in' && weaker.kind === 'in') return impliesIn(stronger, weaker);
  if (stronger.kind === 'set' && weaker.kind === 'set') return impliesSet(stronger, weaker);
  if (weaker.kind !== 'compare' || stronger.kind === 'set') return false;
  if (stronger.kind === 'in') return impliesBound(stronger, weaker, facts);
  return impliesCompare(stronger, weaker) || impliesLaterBound(stronger, weaker) || impliesNumber(stronger, weaker, facts);
}

/** JSON with sorted keys: the database gives back what it recorded in an order of its own. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

function isColumnOf(operand: Operand, term: Comparison): boolean {
  return operand.kind === 'column' && operandsOf(term).some((side) => canonical(side) === canonical(operand));
}

function impliesIn(stronger: In, weaker: In): boolean {
  if (stronger.items.kind !== 'values' || weaker.items.kind !== 'values' || stronger.not !== weaker.not) return false;
  return stronger.not ? within(weaker.items.values, stronger.items.values) : within(stronger.items.values, weaker.items.values);
}

function impliesSet(stronger: SetTerm, weaker: SetTerm): boolean {
  if (stronger.right.kind !== 'values' || weaker.right.kind !== 'values' || stronger.not !== weaker.not) return false;
  const [more, fewer] = [stronger.right.values, weaker.right.values];
  if (stronger.op !== weaker.op) return !stronger.not && stronger.op === 'Contains' && more.some((value) => fewer.includes(value));
  // Containing more items is stronger; overlapping with more is weaker; `not` turns both around.
  return (stronger.op === 'Contains') === stronger.not ? within(more, fewer) : within(fewer, more);
}

function within(inner: readonly string[], outer: readonly string[]): boolean {
  return inner.every((value) => outer.includes(value));
}

function impliesCompare(stronger: Compare, weaker: Compare): boolean {
  return canonical(stronger.right) === canonical(weaker.right) && weakerOps[stronger.op].includes(weaker.op);
}

/** `x > now - 10 days` implies `x > now - 30 days`. Intervals of different units are not compared: a month has no fixed length. */
function impliesLaterBound(stronger: Compare, weaker: Compare): boolean {
  const [by, than] = [stronger.right, weaker.right];
  if (by.kind !== 'now' || than.kind !== 'now' || !weakerOps[stronger.op].includes(weaker.op)) return false;
  if (by.offset !== undefined && than.offset !== undefined && by.offset.unit !== than.offset.unit) return false;
  const difference = shift(by) - shift(than);
  if (stronger.op === 'Gt' || stronger.op === 'Gte') return difference >= 0 && weaker.op !== 'Ne';
  if (stronger.op === 'Lt' || stronger.op === 'Lte') return difference <= 0 && weaker.op !== 'Ne';
  return false;
}

function shift({ offset }: Extract<Operand, { kind: 'now' }>): number {
  return offset === undefined ? 0 : offset.sign === '-' ? -offset.amount : offset.amount;
}

function impliesBound(stronger: In, weaker: Compare, facts: Facts): boolean {
  const bound = integerOf(weaker, facts);
  if (stronger.not || stronger.items.kind !== 'values' || bound === undefined) return false;
  return stronger.items.values.every((text) => {
    const value = parseInteger(text);
    return value !== undefined && holds(value, weaker.op, bound);
  });
}

function impliesNumber(stronger: Compare, weaker: Compare, facts: Facts): boolean {
  const [a, b] = [integerOf(stronger, facts), integerOf(weaker, facts)];
  if (a === undefined || b === undefined) return false;
  const [upper, weakerUpper] = [upperBound(stronger.op, a), upperBound(weaker.op, b)];
  if (upper !== undefined && weakerUpper !== undefined) return upper <= weakerUpper;
  const [lower, weakerLower] = [lowerBound(stronger.op, a), lowerBound(weaker.op, b)];
  return lower !== undefined && weakerLower !== undefined && lower >= weakerLower;
}

function upperBound(op: ComparisonOp, value: bigint): bigint | undefined {
  return op === 'Lt' ? value - 1n : op === 'Lte' ? value : undefined;
}

function lowerBound(op: ComparisonOp, value: bigint): bigint | undefined {
  return op === 'Gt' ? value + 1n : op === 'Gte' ? value : undefined;
}

function integerOf({ left, right }: Compare, { isInteger }: Facts): bigint | undefined {
  return left.kind === 'column' && right.kind === 'literal' && isInteger(left.name) ? parseInteger(right.text) : undefined;
}

function parseInteger(text: string): bigint | undefined {
  return /^-?[0-9]{1,19}$/.test(text) ? BigInt(text) : undefined;
}

function holds(value: bigint, op: ComparisonOp, bound: bigint): boolean {
  switch (op) {
    case 'Lt':
      return value < bound;
    case 'Lte':
      return value <= bound;
    case 'Gt':
      return value > bound;
    case 'Gte':
      return value >= bound;
    case 'Eq':
    case 'Ne':
      return false;
  }
}

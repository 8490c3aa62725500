// Recognises comparisons: only between types that a term compares in the very same way.
import type { ComparisonOp, Items, Operand, Term } from '../../policy/predicate.ts';
import { isTextual, widthOf } from './recognise-cast.ts';
import { rawSetting } from './recognise-literal.ts';
import { Unrecognised } from './recognise-node.ts';
import type { Case, Fact, Facts, Value } from './recognise-scope.ts';

interface Typed extends Case {
  readonly type: string;
}

/** How a comparison is asked: `positive` for when it is true, else for when it is false. */
export interface Asked {
  readonly op: ComparisonOp;
  readonly positive: boolean;
}

const mirrored: Readonly<Record<ComparisonOp, ComparisonOp>> = { Eq: 'Eq', Ne: 'Ne', Lt: 'Gt', Lte: 'Gte', Gt: 'Lt', Gte: 'Lte' };
const ranks = ['column', 'function', 'claim', 'setting', 'currentRole'];

/** Each case of one side with each of the other: exactly one of a side applies, and one that is NULL makes nothing true or false. */
export function compared(a: Value, b: Value, asked: Asked): Facts {
  return a.cases.flatMap((left) => b.cases.flatMap((right) => {
    const folded = constant({ ...left, type: a.type }, { ...right, type: b.type }, asked);
    if (folded !== undefined) return folded ? [[...left.guards, ...right.guards]] : [];
    return [[...left.guards, ...right.guards, comparison({ ...left, type: a.type }, { ...right, type: b.type }, asked)]];
  }));
}

/** Two literals are compared here and now. */
function constant(a: Typed, b: Typed, { op, positive }: Asked): boolean | undefined {
  if (a.part.kind !== 'literal' || b.part.kind !== 'literal' || (op !== 'Eq' && op !== 'Ne')) return undefined;
  if (!(isTextual(a.type) && isTextual(b.type)) && !(a.type === 'int4' && b.type === 'int4')) return undefined;
  return (a.part.text === b.part.text) === ((op === 'Eq') === positive);
}

/** `value = ANY (items)`, when true or false. */
export function among(value: Value, items: readonly Value[], positive: boolean): Facts {
  const texts = items.map((item) => {
    const [only] = item.cases;
    if (only?.part.kind !== 'literal') throw new Unrecognised('an item is not a literal');
    for (const each of value.cases) requireFit({ ...each, type: value.type }, { ...only, type: item.type }, { op: 'Eq', positive });
    return only.part.text;
  });
  if (texts.length === 0 || texts.length > 64) throw new Unrecognised('it has no items or too many');
  return value.cases.map((each) => [...each.guards, inFact(each, { kind: 'values', values: texts }, positive)]);
}

function comparison(a: Typed, b: Typed, asked: Asked): Fact {
  const item = [a, b].find(({ part }) => part.kind === 'item');
  if (item !== undefined) return amongItems(item === a ? b : a, item, asked);
  const settled = plainSetting(a, b, asked) ?? plainSetting(b, a, asked);
  if (settled !== undefined) return settled;
  requireFit(a, b, asked);
  const swap = rank(a) > rank(b);
  const [left, right] = swap ? [b, a] : [a, b];
  if (rank(left) === ranks.length) throw new Unrecognised('it compares nothing of the row or the session');
  const sources = [...new Set([left.source, right.source].filter((source) => source !== undefined))];
  const term: Term = { kind: 'compare', op: swap ? mirrored[asked.op] : asked.op, left: operandOf(left), right: operandOf(right), not: !asked.positive };
  return { term, sources, ...joinOf(left, right, asked) };
}

/** Text that is not empty: there a setting that is empty and one that is unset are the same. */
function plainSetting(a: Typed, b: Typed, { op, positive }: Asked): Fact | undefined {
  const name = rawSetting(a.part);
  if (name === undefined || b.part.kind !== 'literal' || !isTextual(a.type) || !isTextual(b.type) || !positive) return undefined;
  const operand: Operand = { kind: 'setting', name };
  if (op === 'Ne' && b.part.text === '') return { term: { kind: 'isNull', operand, not: true }, sources: [] };
  return op === 'Eq' && b.part.text !== '' ? { term: { kind: 'compare', op, left: operand, right: b.part, not: false }, sources: [] } : undefined;
}

function amongItems(value: Typed, item: Typed, { op, positive }: Asked): Fact {
  if (op !== 'Eq' || !positive || item.part.kind !== 'item') throw new Unrecognised('an item of a claim is compared with more than equality');
  if (value.type !== item.type && !(isTextual(value.type) && isTextual(item.type))) throw new Unrecognised(`${value.type} is compared with ${item.type}`);
  return inFact(value, { kind: 'claim', path: item.part.path }, true);
}

function inFact(each: Case, items: Items, positive: boolean): Fact {
  return { term: { kind: 'in', left: operandOf(each), items, not: !positive }, sources: each.source === undefined ? [] : [each.source] };
}

function joinOf(left: Typed, right: Typed, { op, positive }: Asked): Pick<Fact, 'join'> {
  if (left.source === undefined || right.source === undefined || left.source === right.source) return {};
  if (op !== 'Eq' || !positive || left.part.kind !== 'column' || right.part.kind !== 'column') throw new Unrecognised('columns of two tables are compared with more than equality');
  return { join: [{ source: left.source, name: left.part.name }, { source: right.source, name: right.part.name }] };
}

function rank({ part }: Case): number {
  const index = ranks.indexOf(part.kind);
  return index < 0 ? ranks.length : index;
}

function operandOf({ part }: Case): Operand {
  if (part.kind === 'document' || part.kind === 'item') throw new Unrecognised('JSON is compared as a whole');
  return part;
}

/** A term compares as the type of the column, or as text where there is none. Throws Unrecognised where that is not how it stands here. */
function requireFit(a: Typed, b: Typed, asked: Asked): void {
  const [column, other] = a.part.kind === 'column' ? [a, b] : b.part.kind === 'column' ? [b, a] : [undefined, b];
  if (column === undefined ? textLike(a, asked) && textLike(b, asked) : fits(column, other, asked)) return;
  throw new Unrecognised(`${a.type} is compared with ${b.type}`);
}

/** Names are compared by bytes, texts by the database's order: only equality is the same. */
function textLike({ type }: Typed, { op }: Asked): boolean {
  return isTextual(type) || (type === 'name' && (op === 'Eq' || op === 'Ne'));
}

function fits(column: Typed, other: Typed, asked: Asked): boolean {
  if (column.type === 'json' || column.type === 'bpchar') return column.type === other.type && column.type !== 'json';
  if (textLike(column, asked) && textLike(other, asked)) return true;
  if (other.part.kind === 'literal') return other.type === 'unknown' || other.type === column.type || isWithin(other.part.text, column.type, other.type);
  if (other.type === column.type) return column.type !== 'name';
  const [width, otherWidth] = [widthOf(column.type), widthOf(other.type)];
  if (other.part.kind === 'column' || width < 0 || otherWidth < 0) return false;
  // What does not fit into the column equals none of its values, and is unknown in a term: no difference but for other questions.
  return otherWidth <= width || (asked.op === 'Eq' && asked.positive);
}

const limits: Readonly<Record<string, bigint>> = { int2: 2n ** 15n, int4: 2n ** 31n, int8: 2n ** 63n };

function isWithin(text: string, type: string, literalType: string): boolean {
  if (widthOf(literalType) < 0 || widthOf(literalType) > 2 || widthOf(type) < 0 || !/^-?\d+$/.test(text)) return false;
  const limit = limits[type];
  return limit === undefined || (BigInt(text) < limit && BigInt(text) >= -limit);
}

// From a manifest's flat terms to the predicate tree: which side is left, which is right, and what they hold.
import type { Static } from 'typebox';
import { RowsealError } from '../model/errors.ts';
import type { predicate as predicateSchema } from '../model/schema/predicate.ts';
import { parseInterval } from './interval.ts';
import type { Alternatives, Comparison, Items, Operand, Predicate, Term } from './predicate.ts';

type PredicateSpec = Static<typeof predicateSchema>;
type TermSpec = NonNullable<PredicateSpec['all']>[number];
type CallSpec = NonNullable<TermSpec['function']>;
type ArgumentSpec = CallSpec['args'][number];
/** What the terms of every depth have in common. */
type AnyTermSpec = Partial<Omit<TermSpec, 'member'>> & { readonly member?: MemberSpec };
interface MemberSpec {
  readonly schema?: string;
  readonly table: string;
  readonly column: string;
  readonly where?: { readonly all?: readonly AnyTermSpec[]; readonly any?: readonly { readonly all: readonly AnyTermSpec[] }[] };
}

/** The tree of a validated manifest predicate; `schema` is where membership tables are when they name none. Throws BadPredicate. */
export function parsePredicate(spec: PredicateSpec, schema: string): Predicate {
  if (spec.sql !== undefined) return { kind: 'sql', text: spec.sql };
  const alternatives = alternativesOf(spec, schema);
  if (alternatives.length === 0) throw new RowsealError('BadPredicate', 'a predicate has no terms', { next: 'give it all, any or sql' });
  return { kind: 'tree', alternatives };
}

function alternativesOf(spec: NonNullable<MemberSpec['where']>, schema: string): Alternatives {
  const alternatives = spec.any?.map((alternative) => alternative.all) ?? (spec.all ? [spec.all] : []);
  return alternatives.map((terms) => terms.map((term) => parseTerm(term, schema)));
}

function parseTerm(term: AnyTermSpec, schema: string): Term {
  const { member } = term;
  if (member === undefined) return parseComparison(term);
  const [left] = sidesOf(term);
  if (left === undefined) throw malformed('a membership needs a column, claim, currentRole, setting or function');
  // The catalog is asked for them by parameter, which can't hold a NUL character.
  if ([member.schema, member.table].some((name) => name?.includes('\0') === true)) throw malformed('the name of a table holds a NUL character');
  return {
    kind: 'member',
    left,
    table: { schema: member.schema ?? schema, table: member.table },
    column: member.column,
    where: member.where === undefined ? [] : alternativesOf(member.where, schema),
    not: term.not ?? false,
  };
}

function parseComparison(term: AnyTermSpec): Comparison {
  const not = term.not ?? false;
  const { op, values } = term;
  const sides = sidesOf(term);
  const [left, right] = sides;
  if (op === undefined) throw malformed('a comparison needs op');
  if (left === undefined) throw malformed('a comparison needs a column, claim, currentRole, setting or function on its left side');
  if (sides.length + (values === undefined ? 0 : 1) !== (op === 'IsNull' ? 1 : 2)) throw malformed(`${op} takes ${op === 'IsNull' ? 'one side' : 'two sides'}`);
  const literals: Items | undefined = values === undefined ? undefined : { kind: 'values', values };
  if (op === 'IsNull') return { kind: 'isNull', operand: left, not };
  if (op === 'In') return { kind: 'in', ...itemAndItems(term, sides, literals), not };
  if (op === 'Contains' || op === 'Overlaps') return { kind: 'set', op, left, right: literals ?? right ?? left, not };
  if (right === undefined) throw malformed(`values does not go with ${op}`);
  return { kind: 'compare', op, left, right, not };
}

/** Which side of In is the list: the literals, else otherFunction, else the claim, else the function. */
function itemAndItems(term: AnyTermSpec, sides: readonly Operand[], literals: Items | undefined): { left: Operand; items: Items } {
  const [first, second] = sides;
  if (literals !== undefined && first !== undefined) return { left: first, items: literals };
  if (first === undefined || second === undefined) throw malformed('In takes two sides');
  if (term.otherFunction !== undefined) return { left: first, items: second };
  const kind = term.claim === undefined ? 'function' : 'claim';
  const items = sides.find((side) => side.kind === kind);
  const left = sides.find((side) => side.kind !== kind);
  if (items === undefined || left === undefined) throw malformed('In takes values, a claim that holds a JSON array, or a function that returns an array');
  return { left, items };
}

/** Left side first; the schema's rules have ensured how many there are, except in the innermost lookups. */
function sidesOf(term: AnyTermSpec): readonly Operand[] {
  const lefts = [...columnOf(term.column), ...callOf(term.function), ...plainOf(term)];
  return [...lefts, ...literalOf(term.value), ...nowOf(term.now), ...columnOf(term.otherColumn), ...callOf(term.otherFunction)];
}

function plainOf({ claim, setting, currentRole }: Pick<AnyTermSpec, 'claim' | 'setting' | 'currentRole'>): readonly Operand[] {
  const operands: Operand[] = [];
  if (claim !== undefined) operands.push({ kind: 'claim', path: claim });
  if (setting !== undefined) operands.push({ kind: 'setting', name: setting });
  if (currentRole !== undefined) operands.push({ kind: 'currentRole' });
  return operands;
}

function columnOf(name: string | undefined): readonly Operand[] {
  return name === undefined ? [] : [{ kind: 'column', name }];
}

function literalOf(text: string | undefined): readonly Operand[] {
  return text === undefined ? [] : [{ kind: 'literal', text }];
}

function nowOf(now: AnyTermSpec['now']): readonly Operand[] {
  if (now === undefined) return [];
  const text = now.plus ?? now.minus;
  return [text === undefined ? { kind: 'now' } : { kind: 'now', offset: parseInterval(text, now.plus === undefined ? '-' : '+') }];
}

function callOf(call: CallSpec | undefined): readonly Operand[] {
  return call === undefined ? [] : [{ kind: 'function', name: call.name, args: call.args.map(argumentOf) }];
}

function argumentOf(argument: ArgumentSpec): Operand {
  const [operand] = [...columnOf(argument.column), ...plainOf(argument), ...literalOf(argument.value), ...nowOf(argument.now)];
  if (operand === undefined) throw malformed('an argument is a column, claim, value, currentRole, setting or now');
  return operand;
}

function malformed(message: string): RowsealError {
  return new RowsealError('BadPredicate', message, { next: 'correct the predicate in the manifest' });
}

// From a predicate tree back to the flat terms of a manifest: the inverse of parse-predicate.
import type { Static } from 'typebox';
import { RowsealError } from '../model/errors.ts';
import type { predicate as predicateSchema } from '../model/schema/predicate.ts';
import type { Alternatives, Membership, Operand, Term } from './predicate.ts';

type PredicateSpec = Static<typeof predicateSchema>;
type Spec = Record<string, unknown>;

/** What a manifest writes for the alternatives; `schema` is that of the target. Throws BadPredicate for what terms can't say. */
export function predicateSpec(alternatives: Alternatives, schema: string): PredicateSpec {
  return formsOf(alternatives, schema);
}

function formsOf(alternatives: Alternatives, schema: string): Spec {
  const [only, ...more] = alternatives.map((terms) => terms.map((term) => termSpec(term, schema)));
  return more.length === 0 ? { all: only ?? [] } : { any: [only ?? [], ...more].map((all) => ({ all })) };
}

function termSpec(term: Term, schema: string): Spec {
  const not = term.not ? { not: true } : {};
  switch (term.kind) {
    case 'member':
      return { ...leftSpec(term.left), member: memberSpec(term, schema), ...not };
    case 'isNull':
      return { ...leftSpec(term.operand), op: 'IsNull', ...not };
    case 'compare':
      return { ...leftSpec(term.left), op: term.op, ...rightSpec(term.right, term.left), ...not };
    case 'in':
      return { ...leftSpec(term.left), op: 'In', ...(term.items.kind === 'values' ? { values: term.items.values } : term.items.kind === 'function' ? { otherFunction: callSpec(term.items) } : rightSpec(term.items, term.left)), ...not };
    case 'set':
      return { ...leftSpec(term.left), op: term.op, ...(term.right.kind === 'values' ? { values: term.right.values } : rightSpec(term.right, term.left)), ...not };
  }
}

function memberSpec({ table, column, where }: Membership, schema: string): Spec {
  return { ...(table.schema === schema ? {} : { schema: table.schema }), table: table.table, column, ...(where.length === 0 ? {} : { where: formsOf(where, schema) }) };
}

function leftSpec(operand: Operand): Spec {
  return operand.kind === 'function' ? { function: callSpec(operand) } : plainSpec(operand);
}

function rightSpec(operand: Operand, left: Operand): Spec {
  if (operand.kind === 'column') return { otherColumn: operand.name };
  if (operand.kind === 'function') return left.kind === 'function' ? { otherFunction: callSpec(operand) } : { function: callSpec(operand) };
  if (operand.kind === left.kind) throw new RowsealError('BadPredicate', `two sides of kind ${operand.kind} can't be written in one term`);
  return plainSpec(operand);
}

function plainSpec(operand: Exclude<Operand, { kind: 'function' }>): Spec {
  switch (operand.kind) {
    case 'column':
      return { column: operand.name };
    case 'claim':
      return { claim: operand.path };
    case 'literal':
      return { value: operand.text };
    case 'currentRole':
      return { currentRole: true };
    case 'setting':
      return { setting: operand.name };
    case 'now':
      return { now: operand.offset === undefined ? {} : { [operand.offset.sign === '+' ? 'plus' : 'minus']: `${operand.offset.amount} ${operand.offset.unit}${operand.offset.amount === 1 ? '' : 's'}` } };
  }
}

function callSpec({ name, args }: Extract<Operand, { kind: 'function' }>): Spec {
  return { name, args: args.map((arg) => (arg.kind === 'function' ? unsayable() : plainSpec(arg))) };
}

function unsayable(): never {
  throw new RowsealError('BadPredicate', 'a function inside a function can’t be written in a term');
}

// From PostgreSQL's text of a policy's expression to the predicate tree that means the same, for every row and every session in which it is no error.
import { RowsealError } from '../../model/errors.ts';
import type { Alternatives, Predicate, Term } from '../../policy/predicate.ts';
import { parsePredicate } from '../../policy/parse-predicate.ts';
import { predicateSpec } from '../../policy/predicate-spec.ts';
import { whenIs } from './recognise-condition.ts';
import { expressionNode, Unrecognised } from './recognise-node.ts';
import { type Fact, type Facts, type Meanings, nothingBound, type Source } from './recognise-scope.ts';
import { valueOf } from './recognise-value.ts';

export type Recognition = { readonly predicate: Predicate } | { readonly why: string };

/** Reads a deparsed expression (search_path = pg_catalog); the parser must have been prepared. What it does not read is said in words. */
export function recognise(text: string, meanings: Meanings): Recognition {
  try {
    const own: Source = { table: meanings.table, alias: meanings.table.table.table, reader: { kind: 'caller' } };
    const facts = whenIs(true, expressionNode(text), { meanings, recogniser: { valueOf, whenIs }, levels: [{ sources: [own], bound: nothingBound }], reader: own.reader, searchPath: [], depth: 0 });
    return { predicate: { kind: 'tree', alternatives: inBounds(alternativesOf(facts), meanings) } };
  } catch (error) {
    if (error instanceof Unrecognised) return { why: error.message };
    if (error instanceof RowsealError && error.code === 'BadPredicate') return { why: error.message };
    throw error;
  }
}

/** Always and never are said of the current role, which is never NULL. */
const always: Term = { kind: 'isNull', operand: { kind: 'currentRole' }, not: true };
const never: Term = { kind: 'isNull', operand: { kind: 'currentRole' }, not: false };

function alternativesOf(facts: Facts): Alternatives {
  if (facts.length === 0) return [[never]];
  if (facts.some((each) => each.length === 0)) return [[always]];
  const alternatives = facts.map((each) => each.map(({ term }: Fact) => term));
  return alternatives.filter((terms, index) => alternatives.findIndex((other) => JSON.stringify(other) === JSON.stringify(terms)) === index);
}

/** Only what a manifest can say, and says in the same words, is recognised. */
function inBounds(alternatives: Alternatives, { table }: Meanings): Alternatives {
  if (alternatives.length > 16 || alternatives.some((terms) => terms.length > 16)) throw new Unrecognised('it has more than 16 alternatives, or terms in one');
  const { schema } = table.table;
  const again = parsePredicate(predicateSpec(alternatives, schema), schema);
  if (again.kind !== 'tree' || JSON.stringify(again.alternatives) !== JSON.stringify(alternatives)) throw new Unrecognised('terms can’t say it');
  return alternatives;
}

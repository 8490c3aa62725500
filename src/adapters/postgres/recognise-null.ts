// IS NULL and IS NOT NULL of recognised values, and the guards that coalesce puts before its later values.
import type { Operand } from '../../policy/predicate.ts';
import { Unrecognised } from './recognise-node.ts';
import type { Case, Fact, Facts, Value } from './recognise-scope.ts';

/** When the value is NULL. Throws Unrecognised for claims: without any claims a term takes a missing one for unknown. */
export function isNull(value: Value): Facts {
  if (value.cases.some(({ part }) => part.kind === 'claim')) throw new Unrecognised('a claim is asked to be NULL');
  return value.cases.some(({ part }) => neverNull(part.kind)) ? [] : [value.cases.map((each) => nullFact(each, false))];
}

export function isNotNull(value: Value): Facts {
  return value.cases.map((each) => (neverNull(each.part.kind) ? each.guards : [...each.guards.filter(isGuardOfOrder), nullFact(each, true)]));
}

/** What holds when `first` is NULL, so that `other` counts. */
export function nullGuards(first: Value, other: Value): readonly Fact[] {
  const claimsFollow = other.cases.every(({ part }) => part.kind === 'claim');
  return first.cases.flatMap((each) => {
    // Without any claims a missing one is unknown; then the claims that follow are, too, and nothing is lost.
    if (each.part.kind === 'claim' && !claimsFollow) throw new Unrecognised('something else stands in for a missing claim');
    if (neverNull(each.part.kind)) throw new Unrecognised('coalesce goes on after a value that is always there');
    return [nullFact(each, false)];
  });
}

function neverNull(kind: string): boolean {
  return kind === 'literal' || kind === 'currentRole' || kind === 'now';
}

function nullFact({ part, source, guards }: Case, not: boolean): Fact {
  if (guards.some(({ term }) => term.kind === 'compare')) throw new Unrecognised('NULL and the empty text are taken for the same');
  return { term: { kind: 'isNull', operand: operandOf(part), not }, sources: source === undefined ? [] : [source] };
}

function isGuardOfOrder({ term }: Fact): boolean {
  return term.kind === 'isNull';
}

function operandOf(part: Case['part']): Operand {
  if (part.kind === 'document') return { kind: 'setting', name: part.setting };
  if (part.kind === 'item') throw new Unrecognised('an item of a claim is asked to be NULL');
  return part;
}

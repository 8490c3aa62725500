// Proves that one predicate admits no row that another doesn't. What it can't prove may still be so; it never errs the other way.
import { canonical, type Facts, impliesComparison, type Normal, normalForm } from './implication.ts';
import { type Alternatives, type Comparison, type Membership, operandsOf, type Predicate, type Term } from './predicate.ts';

/** Whether every row and session that `next` admits is admitted by `before`, whatever the tables hold. */
export function isNarrower(next: Predicate, before: Predicate, facts: Facts): boolean {
  if (next.kind === 'sql' || before.kind === 'sql') return canonical(next) === canonical(before);
  return alternativesImply(next.alternatives, before.alternatives, facts);
}

/** Every alternative of `next` implies one of `before`; no alternatives at all admit everything, as a lookup without `where` does. */
function alternativesImply(next: Alternatives, before: Alternatives, facts: Facts): boolean {
  if (before.length === 0) return true;
  return next.length > 0 && next.every((terms) => before.some((weaker) => weaker.every((term) => terms.some((stronger) => implies(stronger, term, facts)))));
}

function implies(stronger: Term, weaker: Term, facts: Facts): boolean {
  if (stronger.kind === 'member' && weaker.kind === 'member') return impliesMembership(stronger, weaker);
  if (weaker.kind === 'member') return false;
  if (stronger.kind !== 'member') return impliesComparison(normalForm(stronger), normalForm(weaker), facts);
  return isNotNull(normalForm(weaker), canonical(stronger.left));
}

/** That a column was found among the values means that it is not NULL. */
function isNotNull(weaker: Normal, column: string): boolean {
  return weaker.kind === 'isNull' && weaker.not && weaker.operand.kind === 'column' && canonical(weaker.operand) === column;
}

/** Columns inside a lookup belong to another table, of whose types nothing is known here. */
const nothingKnown: Facts = { isInteger: () => false };

function impliesMembership(stronger: Membership, weaker: Membership): boolean {
  const what = ({ left, table, column, not }: Membership): string => canonical([left, table, column, not]);
  if (what(stronger) !== what(weaker)) return false;
  // Seen with the querying role's own eyes the lookup finds no more than past row security, which may be more.
  if (stronger.past === true && weaker.past !== true) return false;
  if (!stronger.not) return alternativesImply(stronger.where, weaker.where, nothingKnown);
  // Negated, fewer rows that count admit more; and whatever the weaker one must know of the session, the stronger one must have known.
  const known = new Set(sessionTerms(stronger.where));
  return alternativesImply(weaker.where, stronger.where, nothingKnown) && sessionTerms(weaker.where).every((term) => known.has(term));
}

/** The terms of a lookup that read the session, in lookups inside it as well. */
function sessionTerms(where: Alternatives): readonly string[] {
  return where.flat().flatMap((term) => (term.kind === 'member' ? [...sessionTerms(term.where), ...readsOf(term, [term.left])] : readsOf(term, operandsOf(term))));
}

function readsOf(term: Comparison | Membership, operands: ReturnType<typeof operandsOf>): readonly string[] {
  return operands.some(({ kind }) => kind !== 'column' && kind !== 'literal' && kind !== 'now') ? [canonical(term)] : [];
}

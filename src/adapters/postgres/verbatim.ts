// Admits the text of `verbatim` only where it is proven to mean what the terms beside it say.
import { RowsealError } from '../../model/errors.ts';
import type { DesiredPolicy } from '../../policy/desired.ts';
import type { PredicateScope } from './predicate-scope.ts';

export interface Verbatim {
  readonly using?: string;
  readonly check?: string;
}

/** The sides that are kept as text. Throws BadPredicate naming the rule where one does not say what its terms say. */
export function verbatimOf(policy: DesiredPolicy, _scope: PredicateScope): Verbatim {
  if (policy.verbatim === undefined) return {};
  throw new RowsealError('BadPredicate', `verbatim of rule ${policy.rule} does not say what using and check say`, { next: 'leave verbatim out, to have the terms compiled' });
}

// Admits the text of `verbatim` only where the recogniser reads it as exactly the terms beside it.
import { RowsealError } from '../../model/errors.ts';
import type { Desired, DesiredPolicy } from '../../policy/desired.ts';
import type { Observation, ObservedTable } from '../../policy/observed.ts';
import type { Predicate } from '../../policy/predicate.ts';
import { sameTable } from '../../policy/table-name.ts';
import type { ClaimSource } from './claims-source-sql.ts';
import { recognise } from './recognise.ts';
import type { Meanings } from './recognise-scope.ts';

export interface Verbatim {
  readonly using?: string;
  readonly check?: string;
}

export interface VerbatimContext {
  readonly desired: Pick<Desired, 'governed'>;
  readonly observation: Observation;
  readonly claims: ClaimSource;
}

/** The sides that are kept as text. Throws BadPredicate naming the rule where one does not say what its terms say. */
export function verbatimOf(policy: DesiredPolicy, table: ObservedTable, context: VerbatimContext): Verbatim {
  const { verbatim } = policy;
  if (verbatim === undefined) return {};
  const meanings = meaningsOf(policy.roles, table, context);
  for (const side of ['using', 'check'] as const) requireSameMeaning(verbatim[side], policy[side], { rule: policy.rule, side, meanings });
  return verbatim;
}

export function meaningsOf(roles: readonly string[], table: ObservedTable, { desired, observation, claims: { claims } }: VerbatimContext): Meanings {
  return {
    table,
    roles,
    tableOf: (name) => observation.tables.find((candidate) => sameTable(candidate.table, name)),
    isGoverned: (name) => desired.governed.some((governed) => sameTable(governed, name)),
    functionsNamed: (schema, name) => (observation.functions ?? []).filter((each) => each.schema === schema && each.name === name),
    ...(claims.type === 'Setting' ? { claimsSetting: claims.setting } : {}),
  };
}

interface Place {
  readonly rule: string;
  readonly side: 'using' | 'check';
  readonly meanings: Meanings;
}

function requireSameMeaning(text: string | undefined, predicate: Predicate | undefined, { rule, side, meanings }: Place): void {
  if (text === undefined) return;
  const recognised = recognise(text, meanings);
  if ('predicate' in recognised && JSON.stringify(recognised.predicate) === JSON.stringify(predicate)) return;
  const why = 'why' in recognised ? `: ${recognised.why}` : '';
  throw new RowsealError('BadPredicate', `verbatim ${side} of rule ${rule} does not say what ${side} says${why}`, {
    object: `rule ${rule}`,
    next: 'leave verbatim out to have the terms compiled, or import the policy again',
  });
}

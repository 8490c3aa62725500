// What the guard of new tables has to know about a RowPolicy: its target, as far as grants reach (DESIGN §5, New tables are born open).
import type { Desired } from './desired.ts';
import { likePattern } from './target.ts';

/** Which names are closed as soon as a table bears them; their partitions and inheritance children with them. */
export interface GuardedTarget {
  readonly schema: string;
  /** Names, sorted; any when left out. */
  readonly names?: readonly string[];
  /** Present for a selector, which spares tables of extensions and needs all of its conditions. */
  readonly selector?: { readonly like?: string; readonly columns: readonly string[] };
  readonly forced: boolean;
  /** Where partitions and inheritance children are left as they are. */
  readonly sparesChildren?: boolean;
}

export interface ObservedGuard {
  /** Whether the database has the guard, and switched on. */
  readonly active: boolean;
  /** What it knows about the owner asked for. */
  readonly known?: GuardedTarget;
}

/** A change of what the guard knows: no step, since no existing row is concerned. */
export type GuardChange = { readonly kind: 'Guard'; readonly target: GuardedTarget } | { readonly kind: 'Unguard' };

/** A selector whose grants name tables is guarded for these alone: nobody closes tables that are not theirs to govern. */
export function guardedTarget({ target, rowSecurity, grantedNames }: Desired): GuardedTarget {
  const forced = rowSecurity === 'Forced';
  const spared = target.children === 'Leave' ? { sparesChildren: true } : {};
  if (target.selector === undefined) return { schema: target.schema, names: sorted(target.tables ?? []), forced, ...spared };
  const { namePattern, hasColumns = [] } = target.selector;
  const selector = { ...(namePattern === undefined ? {} : { like: likePattern(namePattern) }), columns: sorted(hasColumns) };
  return { schema: target.schema, ...(grantedNames === undefined ? {} : { names: sorted(grantedNames) }), selector, forced, ...spared };
}

/** What must change so that the guard knows the target; undefined when it does, or when nobody looked. */
export function guardChange(target: GuardedTarget | undefined, observed: ObservedGuard | undefined): GuardChange | undefined {
  if (target === undefined || observed === undefined || same(target, observed.known)) return undefined;
  return { kind: 'Guard', target };
}

function same(a: GuardedTarget, b: GuardedTarget | undefined): boolean {
  const key = ({ schema, names, selector, forced, sparesChildren }: GuardedTarget) =>
    JSON.stringify([schema, names ?? null, selector?.like ?? null, selector?.columns ?? null, forced, sparesChildren === true]);
  return b !== undefined && key(a) === key(b);
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}

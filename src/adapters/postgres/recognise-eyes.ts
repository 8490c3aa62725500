// Whether a lookup sees the same rows here as a membership term would: with the caller's eyes, or past row security.
import type { ObservedPolicy } from '../../policy/observed.ts';
import { type Membership, membershipsOf, type Term } from '../../policy/predicate.ts';
import { sameTable } from '../../policy/table-name.ts';
import { everyRole } from '../../policy/desired.ts';
import { expressionNode, Unrecognised } from './recognise-node.ts';
import { type Fact, type Facts, nothingBound, type Scope, type Source } from './recognise-scope.ts';

interface Lookup {
  readonly member: Membership;
  readonly sources: readonly Source[];
  /** What holds besides. */
  readonly outside: readonly Fact[];
  readonly scope: Scope;
}

/**
 * A term reads past the policies of a table that has any. So a lookup that does not must be shown to miss nothing, and
 * one that does must be of a table that has some. Throws Unrecognised.
 */
export function readAlike(lookup: Lookup): void {
  const { sources, scope } = lookup;
  const secured = sources.filter(({ table }) => table.rowSecurity);
  const [first] = sources;
  if (first?.reader.kind === 'owner') {
    const { owner, bypasses } = first.reader;
    if (!sources.some(({ table }) => table.rowSecurity || scope.meanings.isGoverned(table.table))) throw new Unrecognised('a function reads a table without row security with its owner’s rights');
    if (bypasses || secured.every(({ table }) => table.owner === owner && !table.forced)) return;
    throw new Unrecognised('a function is bound by the row security of the table that it reads');
  }
  if (scope.meanings.proving === true) return;
  const hidden = secured.find((source) => !missesNothing(source, lookup));
  if (hidden !== undefined) throw new Unrecognised(`a lookup sees only what the policies of ${hidden.table.table.table} show`);
}

/** Whether some permissive policy certainly shows every row that the lookup asks for, and no restrictive one hides any. */
function missesNothing(source: Source, { member, outside, scope }: Lookup): boolean {
  const { policies } = source.table;
  const reading = policies.filter(({ command }) => command === 'Select' || command === 'All');
  if (reading.some((policy) => policy.as === 'Restrictive')) return false;
  const shown = reading.filter((policy) => isFor(policy, scope.meanings.roles)).flatMap((policy) => certainlyShown(policy, source, scope));
  const lookups = membershipsOf({ kind: 'tree', alternatives: [[member]] }).filter(({ table }) => sameTable(table, source.table.table));
  const asked = lookups.flatMap((each) => (each.where.length === 0 ? [[]] : each.where).map((terms) => [...terms, ...linkOf(each), ...outside.map(({ term }) => term)]));
  return asked.every((terms) => {
    const known = new Set(terms.map((term) => JSON.stringify(term)));
    return shown.some((facts) => facts.every(({ term }) => known.has(JSON.stringify(term))));
  });
}

function isFor(policy: ObservedPolicy, roles: readonly string[]): boolean {
  return policy.roles.includes(everyRole) || (roles.length > 0 && roles.every((role) => policy.roles.includes(role)));
}

function certainlyShown({ using }: ObservedPolicy, source: Source, scope: Scope): Facts {
  if (using === undefined) return [];
  try {
    const meanings = { ...scope.meanings, table: source.table, proving: true };
    const alone: Scope = { recogniser: scope.recogniser, meanings, reader: { kind: 'caller' }, searchPath: [], depth: scope.depth, levels: [{ sources: [{ ...source, alias: source.table.table.table }], bound: nothingBound }] };
    return scope.recogniser.whenIs(true, expressionNode(using), alone).filter((facts) => facts.every(({ term }) => term.kind !== 'member'));
  } catch (error) {
    if (error instanceof Unrecognised) return [];
    throw error;
  }
}

/** The rows that count have the session's value in their column. */
function linkOf({ left, column }: Membership): readonly Term[] {
  return left.kind === 'column' ? [] : [{ kind: 'compare', op: 'Eq', left: { kind: 'column', name: column }, right: left, not: false }];
}

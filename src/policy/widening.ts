// Judges whether a change to one policy could let a role see or write more: anything not provably narrower does.
import { sameText } from './adoption.ts';
import type { CompiledPolicy } from './compiled.ts';
import { type Command, everyRole } from './desired.ts';
import { isNarrower } from './narrower.ts';
import type { ObservedPolicy, ObservedTable } from './observed.ts';
import { type PolicyTree, readTree } from './policy-tree.ts';
import type { Predicate } from './predicate.ts';

/** Whether every role that `inner` names is also covered by `outer`; membership among roles is not looked at. */
function rolesWithin(inner: readonly string[], outer: readonly string[]): boolean {
  return outer.includes(everyRole) || inner.every((role) => outer.includes(role));
}

/** Whether the policy's expressions are the ones we made (or adopted) for this very definition, by comment, record and catalog. */
export function expressionsInForce(policy: CompiledPolicy, observed: ObservedPolicy, owner: string): boolean {
  const { marker, record } = observed;
  if (record?.adopted === true) return record.owner === owner && record.definition === policy.definition && record.deparsed === observed.deparsed;
  if (marker === undefined || record === undefined) return false;
  const ours = marker.owner === owner && record.owner === owner;
  const asDefined = marker.definition === policy.definition && record.definition === policy.definition;
  return ours && asDefined && marker.deparsed === observed.deparsed && record.deparsed === observed.deparsed;
}

/**
 * Whether altering the observed policy may widen. It is proven not to where its roles become no more (or, restrictive, no
 * fewer) and each expression, the recorded one still being in force, becomes no weaker.
 */
export function alterWidens(policy: CompiledPolicy, observed: ObservedPolicy, { owner, table }: { readonly owner: string; readonly table: ObservedTable }): boolean {
  const sameAsFound = sameText(policy, observed) && (observed.record?.owner !== owner || observed.record.deparsed === observed.deparsed);
  const noWeaker = expressionsInForce(policy, observed, owner) || sameAsFound || expressionsNarrow(policy, observed, { owner, table });
  if (!noWeaker) return true;
  // By the roles that we had put there as well: somebody else may have let one in.
  const known = observed.record?.owner === owner && observed.record.roles?.length ? [observed.roles, observed.record.roles] : [observed.roles];
  return known.some((before) => (policy.as === 'Permissive' ? !rolesWithin(policy.roles, before) : !rolesWithin(before, policy.roles)));
}

/** The catalog's expression must be the one recorded: a renamed column, for one, shows in it, and would make the tree speak of another. */
function expressionsNarrow(policy: CompiledPolicy, { record, deparsed }: ObservedPolicy, { owner, table }: { readonly owner: string; readonly table: ObservedTable }): boolean {
  if (record === undefined || record.owner !== owner || record.deparsed !== deparsed) return false;
  const before = readTree(record.tree);
  const { tree } = policy;
  if (before === undefined || tree === undefined || before.claims !== tree.claims) return false;
  const integers = new Set(table.columns.filter(({ baseType }) => baseType.schema === 'pg_catalog' && ['int2', 'int4', 'int8'].includes(baseType.name)).map(({ name }) => name));
  const facts = { isInteger: (column: string) => integers.has(column) };
  return (['using', 'check'] as const).every((side) => {
    const [next, old] = [sideInForce(tree, side, policy.command), sideInForce(before, side, policy.command)];
    return next === undefined || old === undefined ? next === old : isNarrower(next, old, facts);
  });
}

/** PostgreSQL checks new rows by USING where an UPDATE or ALL policy has no check of its own. */
function sideInForce(tree: PolicyTree, side: 'using' | 'check', command: Command): Predicate | undefined {
  return tree[side] ?? (side === 'check' && (command === 'All' || command === 'Update') ? tree.using : undefined);
}

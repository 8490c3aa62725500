// Judges whether a change to one policy could let a role see or write more: anything not provably narrower does.
import { sameText } from './adoption.ts';
import type { CompiledPolicy } from './compiled.ts';
import { everyRole } from './desired.ts';
import type { ObservedPolicy } from './observed.ts';

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

/** Whether altering `observed` into `policy` may widen: proven narrower only for equal expressions and fewer (or, restrictive, more) roles. */
export function alterWidens(policy: CompiledPolicy, observed: ObservedPolicy, owner: string): boolean {
  if (!expressionsInForce(policy, observed, owner) && !sameText(policy, observed)) return true;
  return policy.as === 'Permissive' ? !rolesWithin(policy.roles, observed.roles) : !rolesWithin(observed.roles, policy.roles);
}

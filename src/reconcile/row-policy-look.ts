// Reads manifests and catalog together: which tables a RowPolicy means right now, whether it may, and what it wants of them.
import type { Resource } from '../model/kinds.ts';
import { type Desired, desiredFrom, membershipTables, rolesOf, verbatimTexts } from '../policy/desired.ts';
import type { Observation } from '../policy/observed.ts';
import { resolveTables } from '../policy/resolve.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { ObservationRequest } from '../ports/policy-database.ts';
import { exemptRolesOf, requireExemptions } from './exempt-roles.ts';
import { namesInReach, neighboursOf, requireAgreement, requireGrants, sharingWith, testedTables } from './row-policy-scope.ts';

export interface Looking {
  readonly cluster: Cluster;
  readonly observe: (request: ObservationRequest) => Promise<Observation>;
  readonly signal: AbortSignal;
}

export interface Look {
  readonly desired: Desired;
  readonly observation: Observation;
}

/** The selector is resolved, and grants are asked, at every look: both may have changed since the last one. Throws NotGranted, Contradiction, BadPredicate, DatabasePrivilege. */
export async function lookAt(policy: Resource<'RowPolicy'>, { cluster, observe, signal }: Looking): Promise<Look> {
  const declared = desiredFrom(policy.metadata, policy.spec);
  const { target } = policy.spec;
  const asking = { cluster, signal };
  const observation = await observe({ owner: declared.owner, target, tables: [...membershipTables(declared), ...testedTables(policy)], roles: [...rolesOf(declared), ...exemptRolesOf(policy, cluster)], texts: verbatimTexts(declared) });
  const sharing = await sharingWith(policy, observation, asking);
  const desired = resolveTables(declared, observation, neighboursOf(sharing));
  await requireGrants(policy, desired, asking);
  requireAgreement(policy, desired, sharing);
  requireExemptions(policy, cluster, { desired, observation });
  const grantedNames = target.selector === undefined ? undefined : await namesInReach(policy, asking);
  return { desired: grantedNames === undefined ? desired : { ...desired, grantedNames }, observation };
}

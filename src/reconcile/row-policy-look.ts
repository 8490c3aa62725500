// Reads manifests and catalog together: which tables a RowPolicy means right now, whether it may, and what it wants of them.
import type { Resource } from '../model/kinds.ts';
import { type Desired, desiredFrom, membershipTables, rolesOf } from '../policy/desired.ts';
import type { Observation } from '../policy/observed.ts';
import { resolveTables } from '../policy/resolve.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { ObservationRequest } from '../ports/policy-database.ts';
import { neighboursOf, requireGrants, testedTables } from './row-policy-scope.ts';

export interface Looking {
  readonly cluster: Cluster;
  readonly observe: (request: ObservationRequest) => Promise<Observation>;
  readonly signal: AbortSignal;
}

export interface Look {
  readonly desired: Desired;
  readonly observation: Observation;
}

/** The selector is resolved, and grants are asked, at every look: both may have changed since the last one. Throws NotGranted, BadPredicate. */
export async function lookAt(policy: Resource<'RowPolicy'>, { cluster, observe, signal }: Looking): Promise<Look> {
  const declared = desiredFrom(policy.metadata, policy.spec);
  const { target } = policy.spec;
  const observation = await observe({ owner: declared.owner, target, tables: [...membershipTables(declared), ...testedTables(policy)], roles: rolesOf(declared) });
  const desired = resolveTables(declared, observation, await neighboursOf(policy, observation, { cluster, signal }));
  await requireGrants(policy, desired, { cluster, signal });
  return { desired, observation };
}

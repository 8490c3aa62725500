// Every lint there is. A lint that is not in this list does not run; docs/lints has a page for each.
import { alwaysTrue } from './always-true.ts';
import { bypassSwitch } from './bypass-switch.ts';
import { bypassingRole } from './bypassing-role.ts';
import { cascadeIntoGuarded } from './cascade-into-guarded.ts';
import { castCuts } from './cast-cuts.ts';
import { claimPattern } from './claim-pattern.ts';
import { clientClaims } from './client-claims.ts';
import { columnGrant } from './column-grant.ts';
import { deadPolicy } from './dead-policy.ts';
import { definerFunction } from './definer-function.ts';
import { definerView } from './definer-view.ts';
import { evaluatedPerRow } from './evaluated-per-row.ts';
import { foreignKeyOracle } from './foreign-key-oracle.ts';
import { foreignTable } from './foreign-table.ts';
import { insteadOfTrigger } from './instead-of-trigger.ts';
import { leakproofFunction } from './leakproof-function.ts';
import type { Lint } from './lint.ts';
import { materializedView } from './materialized-view.ts';
import { membershipWritable } from './membership-writable.ts';
import { missingIndex } from './missing-index.ts';
import { mutableSearchPath } from './mutable-search-path.ts';
import { nullMatches } from './null-matches.ts';
import { openWithoutClaims } from './open-without-claims.ts';
import { overlappingPolicies } from './overlapping-policies.ts';
import { ownerWithoutForce } from './owner-without-force.ts';
import { partitionDirect } from './partition-direct.ts';
import { plannerEstimates } from './planner-estimates.ts';
import { policiesWithoutRowSecurity } from './policies-without-row-security.ts';
import { policyRecursion } from './policy-recursion.ts';
import { publicWrites } from './public-writes.ts';
import { publication } from './publication.ts';
import { readAllData } from './read-all-data.ts';
import { replicationRole } from './replication-role.ts';
import { rewriteRule } from './rewrite-rule.ts';
import { rowSecurityWithoutPolicies } from './row-security-without-policies.ts';
import { serverVersion } from './server-version.ts';
import { setRolePath } from './set-role-path.ts';
import { truncateGranted } from './truncate-granted.ts';
import { uniqueOracle } from './unique-oracle.ts';
import { unprotectedTable } from './unprotected-table.ts';
import { unsignedClaims } from './unsigned-claims.ts';
import { unusableIndex } from './unusable-index.ts';
import { viewWithoutBarrier } from './view-without-barrier.ts';
import { volatilePolicy } from './volatile-policy.ts';
import { weakWritePolicy } from './weak-write-policy.ts';

export const lints: readonly Lint[] = [
  alwaysTrue,
  bypassSwitch,
  bypassingRole,
  cascadeIntoGuarded,
  castCuts,
  claimPattern,
  clientClaims,
  columnGrant,
  deadPolicy,
  definerFunction,
  definerView,
  evaluatedPerRow,
  foreignKeyOracle,
  foreignTable,
  insteadOfTrigger,
  leakproofFunction,
  materializedView,
  membershipWritable,
  missingIndex,
  mutableSearchPath,
  nullMatches,
  openWithoutClaims,
  overlappingPolicies,
  ownerWithoutForce,
  partitionDirect,
  plannerEstimates,
  policiesWithoutRowSecurity,
  policyRecursion,
  publicWrites,
  publication,
  readAllData,
  replicationRole,
  rewriteRule,
  rowSecurityWithoutPolicies,
  serverVersion,
  setRolePath,
  truncateGranted,
  uniqueOracle,
  unprotectedTable,
  unsignedClaims,
  unusableIndex,
  viewWithoutBarrier,
  volatilePolicy,
  weakWritePolicy,
];

// A policy that is asked of nobody: its roles hold no privilege that it could let through.
import type { CatalogPolicy, CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { askedPolicies, commandsOf, policyTitled, sqlPolicy } from './policy-parts.ts';
import { listed, titled } from './words.ts';

export const deadPolicy: Lint = {
  id: 'dead-policy',
  severity: 'info',
  title: 'a policy is asked of nobody',
  reason: 'A policy decides about rows only for roles that hold the privilege and are bound by row security. For others it says something that is not so.',
  fix: 'grant the privilege, or drop the policy',
  find: (landscape) => {
    const asked = new Set(askedPolicies(landscape).map(({ policy }) => policy));
    return landscape.guarded.flatMap((table) => table.policies.filter((policy) => !asked.has(policy)).flatMap((policy) => finding(policy, table, landscape)));
  },
};

function finding(policy: CatalogPolicy, table: CatalogRelation, landscape: Landscape): readonly LintFinding[] {
  if (policy.roles.includes(0)) return [];
  const unasked = policy.roles.flatMap((oid) => reasonOf(oid, policy, table, landscape));
  if (unasked.length < policy.roles.length) return [];
  return [{ object: policyTitled(policy, table), tables: [titled(table)], why: `Nobody is asked: ${listed(unasked)}.`, fix: `DROP ${sqlPolicy(policy, table)}, or grant what it is about` }];
}

/** Why the role, or those that inherit from it, never meet the policy; nothing where one does. */
function reasonOf(oid: number, policy: CatalogPolicy, table: CatalogRelation, landscape: Landscape): readonly string[] {
  const role = landscape.roles.role(oid);
  if (role === undefined) return [`role ${oid} does not exist`];
  const meant = landscape.roles.ordinary.filter((each) => each.oid !== 0 && landscape.roles.has(each.oid, oid));
  if (meant.length === 0) return [`${role.name} is above row security`];
  const asked = commandsOf(policy).flatMap((command) => landscape.holders(table, command.toUpperCase())).filter((each) => meant.includes(each));
  if (asked.length === 0) return [`${role.name} holds no privilege for it, or no USAGE on the schema`];
  return asked.some((each) => landscape.bound(each, table)) ? [] : [`${role.name} owns the table, and row security is not forced`];
}

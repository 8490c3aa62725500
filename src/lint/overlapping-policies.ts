// A permissive policy that says nothing: another one lets the same roles through to all that it lets through, and more.
import type { CatalogPolicy } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import { claimsOf, type Claims } from './claims.ts';
import { implies, isConstant } from './implication.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, commandsOf, policyTitled, sqlPolicy } from './policy-parts.ts';
import { asksUser } from './tenant-columns.ts';
import { titled } from './words.ts';

export const overlappingPolicies: Lint = {
  id: 'overlapping-policies',
  severity: 'warning',
  title: 'a permissive policy is void beside a wider one',
  reason: 'Permissive policies are joined by OR. A narrow one beside a wide one for the same roles and commands holds nothing back, whatever its author meant.',
  fix: 'make the narrow one RESTRICTIVE, or drop one of the two',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return [...Map.groupBy(askedPolicies(landscape), ({ table }) => table).values()].flatMap((asked) => findingsOn(asked, claims, landscape));
  },
};

/** Beyond this, comparing each with each takes too long, and people have other worries. */
const mostPolicies = 100;

function findingsOn(asked: readonly AskedPolicy[], claims: Claims, landscape: Landscape): readonly LintFinding[] {
  const permissive = asked.filter(({ policy }) => policy.permissive).slice(0, mostPolicies);
  return permissive.flatMap((narrow, index) => {
    const wide = permissive.find((other, place) => other !== narrow && covers(other, narrow, landscape) && (place < index || !covers(narrow, other, landscape)));
    return wide === undefined ? [] : [finding(narrow, wide.policy, claims)];
  });
}

function finding({ policy, table }: AskedPolicy, wide: CatalogPolicy, claims: Claims): LintFinding {
  const same = policy.using?.text === wide.using?.text && policy.check?.text === wide.check?.text;
  // A condition that asks who somebody is was meant to hold something back.
  const meant = [policy.using, policy.check].some((each) => each !== undefined && asksUser(each.tree, claims)) && [wide.using, wide.check].every((each) => each === undefined || isConstant(each.tree, true) || !asksUser(each.tree, claims));
  return {
    object: policyTitled(policy, table),
    tables: [titled(table)],
    severity: meant ? 'warning' : 'info',
    why: `${wide.name} lets the same roles through to all that it does${same ? '' : ', and more'}, so it ${same ? 'adds' : 'holds back'} nothing.`,
    fix: same ? `DROP ${sqlPolicy(policy, table)}` : `Make it RESTRICTIVE, or DROP ${sqlPolicy(wide, table)}`,
  };
}

/** For every role and command of the narrow one, what it lets through the wide one does, too. */
function covers(wide: AskedPolicy, narrow: AskedPolicy, landscape: Landscape): boolean {
  const commands = commandsOf(narrow.policy).every((command) => commandsOf(wide.policy).includes(command));
  const roles = narrow.policy.roles.every((role) => wide.policy.roles.some((other) => other === 0 || (role !== 0 && landscape.roles.has(role, other))));
  return commands && roles && implied(narrow.policy, wide.policy);
}

function implied(narrow: CatalogPolicy, wide: CatalogPolicy): boolean {
  const reads = narrow.command === 'Insert' || pair(narrow.using?.tree, wide.using?.tree);
  const writes = narrow.command === 'Select' || narrow.command === 'Delete' || pair((narrow.check ?? narrow.using)?.tree, (wide.check ?? wide.using)?.tree);
  return reads && writes;
}

function pair(narrow: Expression | undefined, wide: Expression | undefined): boolean {
  return narrow !== undefined && wide !== undefined && implies(narrow, wide);
}

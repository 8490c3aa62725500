// A policy that lets every row through to a session that has said nothing about its user.
import type { CatalogPolicy, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import { type Claims, claimsOf } from './claims.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, commandsOf, means, ownColumns, policyTitled, readerAmong } from './policy-parts.ts';
import { truthOf, type World } from './without-claims.ts';
import { rolesListed, tableNameOf, titled } from './words.ts';

export const openWithoutClaims: Lint = {
  id: 'open-without-claims',
  severity: 'error',
  title: 'a session without claims sees every row',
  reason: 'The condition is true where the setting is missing or empty: a session that sets nothing, a pooled connection after its transaction, or a role that resets it, passes.',
  fix: 'drop the alternative for a missing claim; a role that should see everything gets a policy of its own',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, claims, landscape));
  },
};

function finding(asked: AskedPolicy, claims: Claims, landscape: Landscape): readonly LintFinding[] {
  const { table, policy } = asked;
  if (!asked.expressions.some(({ tree }) => claims.dependsOnClaim(tree))) return [];
  const open = worlds(claims).find((world) => passes(policy, world));
  if (open === undefined) return [];
  const ways = policy.permissive ? [policy] : opened(asked, claims, open);
  const roles = asked.roles.filter((role) => ways.some((way) => means(way, role, landscape)) && !heldBack(role, asked, { world: open, landscape }));
  if (roles.length === 0) return [];
  const reader = ways.map((way) => readerAmong({ ...asked, policy: way, roles: roles.filter((role) => means(way, role, landscape)) }, landscape)).find((role) => role !== undefined);
  const settings = open.setting === null ? {} : emptied(asked, claims);
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      why: `Its condition is true for every row when the setting is ${open.setting === null ? 'not set' : 'empty, as it is after a transaction that set it locally'}; it is asked for ${rolesListed(roles)}.`,
      fix: 'Drop the alternative for a missing claim; give a role that should see everything a policy of its own',
      ...(reader === undefined || !appliesTo(policy, 'Select')
        ? {}
        : { witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(table), settings, shows: `${reader.name} reads rows without any claim` } as const }),
    },
  ];
}

function worlds({ isClaimCall }: Claims): readonly World[] {
  return [null, '' as const].map((setting) => ({ setting, isClaimCall, nullColumns: new Set<string>() }));
}

function passes({ using, check }: CatalogPolicy, world: World): boolean {
  const deciding = using ?? check;
  return deciding !== undefined && truthOf(deciding.tree, world) === true;
}

/** Permissive policies that let every row through and leave it to this restrictive one whose it is. */
function opened({ table, policy, expressions }: AskedPolicy, claims: Claims, world: World): readonly CatalogPolicy[] {
  if (!expressions.some(({ tree }) => ownColumns(tree, table).length > 0)) return [];
  const asksClaims = ({ using, check }: CatalogPolicy) => [using, check].some((each) => each !== undefined && claims.dependsOnClaim(each.tree));
  return table.policies.filter((other) => other.permissive && !asksClaims(other) && commandsOf(other).some((command) => commandsOf(policy).includes(command)) && passes(other, world));
}

/** A restrictive policy that stays shut. */
function heldBack(role: CatalogRole, { table, policy }: { readonly table: CatalogRelation; readonly policy: CatalogPolicy }, { world, landscape }: { readonly world: World; readonly landscape: Landscape }): boolean {
  return commandsOf(policy).every((command) =>
    table.policies.some((other) => !other.permissive && commandsOf(other).includes(command) && means(other, role, landscape) && !passes(other, world)),
  );
}

function appliesTo(policy: CatalogPolicy, command: 'Select'): boolean {
  return commandsOf(policy).includes(command);
}

/** Settings of the application's own; none of the server's is touched. */
function emptied({ expressions }: AskedPolicy, claims: Claims): Readonly<Record<string, string>> {
  const names = expressions.flatMap(({ tree }) => claims.settingsIn(tree)).filter((name) => name.includes('.'));
  return Object.fromEntries(names.map((name) => [name, '']));
}

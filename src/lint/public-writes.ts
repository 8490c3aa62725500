// Everybody, or visitors that nobody knows, may write rows of a table under row security.
import type { CatalogRelation } from '../policy/catalog.ts';
import { type Claims, claimsOf } from './claims.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, commandsOf } from './policy-parts.ts';
import { asksUser } from './tenant-columns.ts';
import { listed, rolesListed, sqlRelation, sqlRoles, titled } from './words.ts';

export const publicWrites: Lint = {
  id: 'public-writes',
  severity: 'warning',
  title: 'everybody may write, and no policy asks who they are',
  reason: 'A privilege of PUBLIC is held by every role there is and every role to come; a role for visitors is held by whoever finds the address.',
  fix: 'REVOKE it, or let the policy ask who writes',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    const byTable = Map.groupBy(askedPolicies(landscape), ({ table }) => table);
    return [...byTable].flatMap(([table, asked]) => finding(table, asked, { claims, landscape }));
  },
};

const visitors = /^(?:anon|anonymous|web_anon|guest|visitor)$/;
const writes = ['Insert', 'Update', 'Delete'] as const;

function finding(table: CatalogRelation, asked: readonly AskedPolicy[], { claims, landscape }: { readonly claims: Claims; readonly landscape: Landscape }): readonly LintFinding[] {
  const open = writes.flatMap((command) => {
    // A policy without any condition (FOR INSERT without WITH CHECK) lets nothing through.
    const through = asked.filter(({ policy, expressions }) => policy.permissive && commandsOf(policy).includes(command) && expressions.length > 0 && !expressions.some(({ tree }) => asksUser(tree, claims)));
    const restricted = asked.some(({ policy, expressions }) => !policy.permissive && commandsOf(policy).includes(command) && expressions.some(({ tree }) => asksUser(tree, claims)));
    const holders = landscape.holders(table, command.toUpperCase()).filter((role) => role.oid === 0 || visitors.test(role.name));
    const roles = restricted ? [] : holders.filter((role) => through.some((each) => each.roles.includes(role)));
    return roles.length === 0 ? [] : [{ command: command.toUpperCase(), roles }];
  });
  if (open.length === 0) return [];
  const roles = landscape.roles.ordinary.filter((role) => open.some((each) => each.roles.includes(role)));
  const written = open.map(({ command }) => command);
  return [
    {
      object: titled(table),
      tables: [titled(table)],
      // A form that visitors send, and nothing else.
      severity: written.every((command) => command === 'INSERT') && roles.every((role) => role.oid !== 0) ? 'info' : 'warning',
      why: `${rolesListed(roles)} may ${listed(written)} rows, and the policies that let them do not ask who they are.`,
      fix: `REVOKE ${written.join(', ')} ON ${sqlRelation(table)} FROM ${sqlRoles(roles)}`,
    },
  ];
}

// A missing claim that equals a missing tenant: rows without a tenant belong to whoever says nothing.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import { type Claims, claimsOf } from './claims.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies, ownColumns, policyTitled, readerAmong } from './policy-parts.ts';
import { truthOf, type World } from './without-claims.ts';
import { listed, rolesListed, sqlName, sqlRelation, tableNameOf, titled } from './words.ts';

export const nullMatches: Lint = {
  id: 'null-matches',
  severity: 'warning',
  title: 'rows without a tenant are open',
  reason: 'IS NOT DISTINCT FROM, coalesce() and OR … IS NULL make a row whose tenant is NULL match: it is shown to sessions without claims, or to every tenant.',
  fix: 'make the column NOT NULL, and compare with =',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    return askedPolicies(landscape).flatMap((asked) => finding(asked, claims, landscape));
  },
};

function finding(asked: AskedPolicy, claims: Claims, landscape: Landscape): readonly LintFinding[] {
  const { table, policy } = asked;
  const tree = (policy.using ?? policy.check)?.tree;
  if (!policy.permissive || tree === undefined || !claims.dependsOnClaim(tree)) return [];
  const columns = ownColumns(tree, table).filter((name) => table.columns.some((column) => column.name === name && !column.notNull));
  const worlds = ([null, ''] as const).map((setting) => ({ setting, isClaimCall: claims.isClaimCall }));
  const open = columns.filter((column) => worlds.some((world) => opens(tree, column, world)));
  if (open.length === 0) return [];
  // Rows that are everybody's on purpose are written this way.
  const shared = open.every((column) => sharedOnPurpose(tree, column));
  const reader = readerAmong(asked, landscape);
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      severity: shared ? 'info' : 'warning',
      why: `Rows whose ${listed(open)} is NULL pass for a session without claims, so ${rolesListed(asked.roles)} can ${policy.using === undefined ? 'write' : 'reach'} them whoever they act for.`,
      fix: fixOf(table, open),
      ...(reader === undefined ? {} : { witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(table), shows: `${reader.name} reads rows without a tenant, and without any claim` } as const }),
    },
  ];
}

/** Open because the column is NULL, and not whatever it holds. */
function opens(tree: Expression, column: string, world: Omit<World, 'nullColumns'>): boolean {
  return truthOf(tree, { ...world, nullColumns: new Set([column]) }) === true && truthOf(tree, { ...world, nullColumns: new Set() }) !== true;
}

function sharedOnPurpose(tree: Expression, column: string): boolean {
  return tree.kind === 'Or' && tree.args.some((arm) => arm.kind === 'Operator' && arm.operator === 'IS NULL' && arm.args[0]?.kind === 'Column' && arm.args[0].path.at(-1) === column);
}

function fixOf(table: CatalogRelation, columns: readonly string[]): string {
  return `ALTER TABLE ${sqlRelation(table)} ${columns.map((column) => `ALTER COLUMN ${sqlName(column)} SET NOT NULL`).join(', ')}; and compare with =`;
}

// A policy without a condition on a table whose rows belong to somebody.
import type { CatalogRole, PolicyExpression } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import { calledFunctions } from './called-functions.ts';
import { type Claims, claimsOf } from './claims.ts';
import { functionTables } from './function-tables.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding, Severity } from './lint.ts';
import { switchIn } from './bypass-switch.ts';
import { type AskedPolicy, askedPolicies, commandsOf, means, ownColumns, policyTitled, readerAmong, sqlPolicy } from './policy-parts.ts';
import { asksUser, type TenantColumns, tenantColumns } from './tenant-columns.ts';
import { truthOf } from './without-claims.ts';
import { listed, rolesListed, tableNameOf, titled } from './words.ts';

export const alwaysTrue: Lint = {
  id: 'always-true',
  severity: 'warning',
  title: 'a policy lets tenants through to every row',
  reason: 'USING (true), or a condition that asks only whether somebody is signed in, gives every row to everybody it is meant for, although the table knows whose a row is.',
  fix: 'compare the column that says whose a row is; or name only roles that may see everything',
  find: (landscape) => {
    const asked = askedPolicies(landscape);
    const claims = claimsOf(landscape);
    const [functions, tables] = [calledFunctions(landscape), functionTables(landscape)];
    const looksUp = (expression: Expression) => functions.calledIn(expression).some((called) => tables.usesOf(called).length > 0);
    const around = { claims, tenants: tenantColumns(landscape), landscape, looksUp };
    return asked.flatMap((each) => finding(each, around));
  },
};

interface Around {
  readonly claims: Claims;
  readonly tenants: TenantColumns;
  readonly landscape: Landscape;
  readonly looksUp: (expression: Expression) => boolean;
}

function finding(asked: AskedPolicy, around: Around): readonly LintFinding[] {
  const { table, policy } = asked;
  const columns = around.tenants.of(table);
  const open = openness(asked, around);
  if (!policy.permissive || columns.length === 0 || open === undefined) return [];
  // A setting that opens the table has a lint of its own.
  if (open === 'gate' && switchIn(asked, around.landscape) !== undefined) return [];
  const roles = asked.roles.filter((role) => (open === 'check' || isWide(role, asked, around)) && !heldBack(role, asked, around.claims, around.landscape));
  if (roles.length === 0) return [];
  const reader = open === 'check' ? undefined : readerAmong({ ...asked, roles }, around.landscape);
  const what = open === 'check' ? 'Its WITH CHECK is always true, so rows may be handed to any' : open === 'gate' ? 'Its condition names no column, so it shows or takes rows of every' : 'Its condition is always true: it shows or takes rows of every';
  return [
    {
      object: policyTitled(policy, table),
      tables: [titled(table)],
      severity: severityOf(asked, around.claims),
      why: `${what} ${listed(columns)}; it is asked for ${rolesListed(roles)}.`,
      fix: `ALTER ${sqlPolicy(policy, table)} ${policy.using === undefined || open === 'check' ? 'WITH CHECK' : 'USING'} (…) with ${listed(columns)} in it`,
      ...(reader === undefined || open !== 'all' ? {} : { witness: { role: reader.name, kind: 'ReadsRows', relation: tableNameOf(table), shows: `${reader.name} reads rows, whoever it acts for` } as const }),
    },
  ];
}

/** `all`: true whatever the session; `gate`: asks the session and no row; `check`: only what is written is not asked. */
function openness({ policy, table }: AskedPolicy, { claims, looksUp }: Around): 'all' | 'gate' | 'check' | undefined {
  const { using, check } = policy;
  const deciding = using ?? check;
  if (deciding === undefined) return undefined;
  // What is true only while nobody says who they are is open-without-claims.
  const isTrue = ({ tree }: PolicyExpression) => !asksUser(tree, claims) && truthOf(tree, { setting: null, isClaimCall: () => false, nullColumns: new Set() }) === true;
  if (isTrue(deciding)) return 'all';
  if (using !== undefined && check !== undefined && isTrue(check)) return 'check';
  return asksUser(deciding.tree, claims) && ownColumns(deciding.tree, table).length === 0 && !readsAnything(deciding) && !looksUp(deciding.tree) ? 'gate' : undefined;
}

/** Looking something up, in a table or by a function of the user's, may be what tells an administrator; so may being a member of a role. */
function readsAnything({ text }: PolicyExpression): boolean {
  return /\bFROM\b|admin|staff|super|service_role|\bowner|\bservice|\bpg_has_role\b/i.test(text);
}

/** Everybody, visitors, or roles that other policies tell apart by whom they act for. */
function isWide(role: CatalogRole, { policy }: AskedPolicy, { tenants, landscape }: Around): boolean {
  if (policy.roles.includes(0)) return true;
  return policy.roles.some((named) => landscape.roles.has(role.oid, named) && (tenants.roles.has(named) || /^(?:anon|anonymous|authenticated|guest)$/.test(landscape.roles.name(named))));
}

/** A restrictive policy with a condition of its own says more. */
function heldBack(role: CatalogRole, { table, policy }: AskedPolicy, claims: Claims, landscape: Landscape): boolean {
  return commandsOf(policy).every((command) =>
    table.policies.some(
      (other) => !other.permissive && commandsOf(other).includes(command) && means(other, role, landscape) && [other.using, other.check].some((each) => each !== undefined && asksUser(each.tree, claims)),
    ),
  );
}

/** Everybody reads and the author writes: that is a publication, not a leak. */
function severityOf({ policy, table }: AskedPolicy, claims: Claims): Severity {
  if (policy.command !== 'Select') return 'warning';
  const others = table.policies.filter((other) => other !== policy && other.permissive && [other.using, other.check].some((each) => each !== undefined && asksUser(each.tree, claims)));
  return others.length > 0 && !others.some((other) => other.command === 'Select') ? 'info' : 'warning';
}

// A role that policies or grants speak of, and that no policy can bind: superuser or BYPASSRLS.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding, Severity } from './lint.ts';
import { sqlName, titled } from './words.ts';

export const bypassingRole: Lint = {
  id: 'bypassing-role',
  severity: 'error',
  title: 'a role of the application is above every policy',
  reason: 'Superusers and roles with BYPASSRLS are never asked a policy, not even one that names them, and not under FORCE.',
  fix: 'ALTER ROLE … NOSUPERUSER NOBYPASSRLS; where it must see every row, keep it out of policies and list it in exemptRoles',
  find: (landscape) =>
    landscape.catalog.roles.filter((role) => (role.superuser || role.bypassesRowSecurity) && !role.predefined).flatMap((role) => finding(role, landscape)),
};

function finding(role: CatalogRole, landscape: Landscape): readonly LintFinding[] {
  const named = landscape.guarded.filter((table) => table.policies.some((policy) => policy.roles.includes(role.oid)));
  const granted = landscape.guarded.filter((table) => isGranted(role, table, landscape));
  const everything = role.superuser && role.login ? landscape.guarded : [];
  const [severity, tables, what] = gravest([
    ['error', named, 'policies that name it never bind it'],
    [role.superuser ? 'error' : 'warning', granted, 'the privileges it was granted there know no policy'],
    // Somebody has to be; whether an application logs in so, the catalog does not say.
    ['info', everything, 'whoever logs in as it is asked nothing'],
  ]);
  if (tables.length === 0) return [];
  return [
    {
      object: `role ${role.name}`,
      tables: tables.map(titled),
      severity,
      why: `${role.name} ${role.superuser ? 'is a superuser' : 'has BYPASSRLS'}; on ${tables.length === 1 ? tables.map(titled).join() : `${tables.length} tables`} ${what}.`,
      fix: `ALTER ROLE ${sqlName(role.name)} ${role.superuser ? 'NOSUPERUSER' : 'NOBYPASSRLS'}`,
    },
  ];
}

type Reason = readonly [severity: Severity, tables: readonly CatalogRelation[], what: string];

function gravest(reasons: readonly Reason[]): Reason {
  return reasons.find(([, tables]) => tables.length > 0) ?? ['info', [], ''];
}

/** By a grant to itself or to a role that it inherits from; as the owner it needs none. */
function isGranted(role: CatalogRole, table: CatalogRelation, { roles }: Landscape): boolean {
  return table.grants.some(({ grantee }) => grantee !== table.owner && grantee !== 0 && roles.has(role.oid, grantee));
}

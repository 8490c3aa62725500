// A role that policies or grants speak of, and that no policy can bind: superuser or BYPASSRLS.
import type { CatalogRole, Oid } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { sqlName, titled } from './words.ts';

export const bypassingRole: Lint = {
  id: 'bypassing-role',
  severity: 'error',
  title: 'a role of the application is above every policy',
  reason: 'Superusers and roles with BYPASSRLS are never asked a policy, not even one that names them, and not under FORCE.',
  fix: 'ALTER ROLE … NOSUPERUSER NOBYPASSRLS; where it must see every row, keep it out of policies and list it in exemptRoles',
  find: (landscape) => {
    const named = tablesByRole(landscape, (table) => table.policies.flatMap((policy) => policy.roles));
    const granted = tablesByRole(landscape, (table) => table.grants.filter((grant) => grant.grantee !== table.owner).map((grant) => grant.grantee));
    return landscape.catalog.roles
      .filter((role) => (role.superuser || role.bypassesRowSecurity) && !role.predefined)
      .flatMap((role) => finding(role, { named: named.get(role.oid) ?? [], granted: granted.get(role.oid) ?? [] }));
  },
};

function tablesByRole(landscape: Landscape, rolesOf: (table: Landscape['guarded'][number]) => readonly Oid[]): ReadonlyMap<Oid, readonly string[]> {
  const found = new Map<Oid, string[]>();
  for (const table of landscape.guarded) {
    for (const role of new Set(rolesOf(table))) {
      const tables = found.get(role) ?? [];
      tables.push(titled(table));
      found.set(role, tables);
    }
  }
  return found;
}

function finding(role: CatalogRole, { named, granted }: { readonly named: readonly string[]; readonly granted: readonly string[] }): readonly LintFinding[] {
  if (named.length === 0 && granted.length === 0) return [];
  const power = role.superuser ? 'a superuser' : 'BYPASSRLS';
  const spoken = named.length > 0 ? `policies of ${count(named)} name it and never bind it` : `it holds privileges on ${count(granted)} whose policies never bind it`;
  return [
    {
      object: `role ${role.name}`,
      tables: [...new Set([...named, ...granted])],
      // Granted to a BYPASSRLS role is often meant, such as for a service that acts for everybody.
      severity: named.length > 0 || role.superuser ? 'error' : 'warning',
      why: `${role.name} ${role.superuser ? 'is' : 'has'} ${power}; ${spoken}.`,
      fix: `ALTER ROLE ${sqlName(role.name)} ${role.superuser ? 'NOSUPERUSER' : 'NOBYPASSRLS'}`,
    },
  ];
}

function count(tables: readonly string[]): string {
  return tables.length === 1 ? (tables[0] ?? '') : `${tables.length} tables`;
}

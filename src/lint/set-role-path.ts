// An ordinary role that can SET ROLE to one above the policies has only to say so.
import type { CatalogRole } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { listed, sqlName, titled } from './words.ts';

/** As good as superuser: they run programs or write files on the server. */
const serverRoles: ReadonlySet<string> = new Set(['pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files']);

export const setRolePath: Lint = {
  id: 'set-role-path',
  severity: 'error',
  title: 'a role can become one that is above the policies',
  reason: 'SET ROLE needs no password: one statement, or one injected string, and a member acts as a superuser, a BYPASSRLS role or the owner of the table.',
  fix: 'REVOKE … FROM …; or, since PostgreSQL 16, GRANT … WITH SET FALSE',
  find: (landscape) => (landscape.guarded.length === 0 ? [] : landscape.roles.ordinary.filter((role) => role.oid !== 0).flatMap((role) => finding(role, landscape))),
};

function finding(role: CatalogRole, landscape: Landscape): readonly LintFinding[] {
  const reachable = landscape.roles.canBecome(role.oid);
  const above = reachable.filter((other) => other.superuser || other.bypassesRowSecurity || serverRoles.has(other.name));
  // Who inherits from an owner needs no SET ROLE: owner-without-force says so.
  const owned = landscape.guarded.filter((table) => !table.forced && reachable.some((other) => other.oid === table.owner) && !landscape.roles.has(role.oid, table.owner));
  const owners = reachable.filter((other) => owned.some((table) => table.owner === other.oid) && !above.includes(other));
  const steps = [...above, ...owners];
  // Before 16, CREATEROLE could grant any role but a superuser, to itself as well.
  const grantsItself = role.createRole && landscape.catalog.server.versionNumber < 160_000;
  if (steps.length === 0 && !grantsItself) return [];
  const held = landscape.guarded.filter((table) => ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].some((privilege) => landscape.holders(table, privilege).includes(role)) && landscape.bound(role, table));
  return [
    {
      object: `role ${role.name}`,
      tables: (above.length > 0 || grantsItself ? landscape.guarded : owned).map(titled),
      severity: held.length > 0 ? 'error' : 'warning',
      why: [
        ...(steps.length === 0 ? [] : [`${role.name} can SET ROLE to ${listed(steps.map((other) => describeStep(other)))}.`]),
        ...(grantsItself ? [`${role.name} has CREATEROLE, which before PostgreSQL 16 grants itself every role but superusers: the owners of tables, too.`] : []),
      ].join(' '),
      fix: [...steps.map((other) => `REVOKE ${sqlName(other.name)} FROM ${sqlName(role.name)} -- or from the role between them`), ...(grantsItself ? [`ALTER ROLE ${sqlName(role.name)} NOCREATEROLE`] : [])].join('\n'),
    },
  ];
}

function describeStep(role: CatalogRole): string {
  if (role.superuser) return `${role.name} (superuser)`;
  if (role.bypassesRowSecurity) return `${role.name} (BYPASSRLS)`;
  return serverRoles.has(role.name) ? `${role.name} (as good as superuser)` : `${role.name} (owner of unforced tables)`;
}

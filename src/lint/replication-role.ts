// A role with REPLICATION reads the write-ahead log: every change of every table, and no policy is asked.
import type { CatalogRole } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { sqlRoles, titled } from './words.ts';

export const replicationRole: Lint = {
  id: 'replication-role',
  severity: 'warning',
  title: 'a role can read every change from the log',
  reason: 'REPLICATION lets a role take a copy of the whole cluster, and decode changes of every table from the write-ahead log, over an ordinary connection, too, where wal_level is logical.',
  fix: 'ALTER ROLE … NOREPLICATION for roles of applications; a role of its own for replication',
  find: (landscape) => (landscape.guarded.length === 0 ? [] : landscape.catalog.roles.filter((role) => role.replication && !role.superuser && !role.predefined && role.login).map((role) => finding(role, landscape))),
};

function finding(role: CatalogRole, landscape: Landscape): LintFinding {
  const held = landscape.guarded.filter((table) => landscape.bound(role, table) && landscape.holders(table, 'SELECT').includes(role));
  return {
    object: `role ${role.name}`,
    tables: held.map(titled),
    // A role that does nothing but replicate is what REPLICATION is for.
    severity: held.length > 0 ? 'warning' : 'info',
    why: held.length > 0 ? `${role.name} is bound by policies on tables, and reads all their changes from the log.` : `${role.name} reads the changes of all tables from the log.`,
    fix: held.length > 0 ? `ALTER ROLE ${sqlRoles([role])} NOREPLICATION` : 'Keep its password as you keep that of a superuser',
  };
}

// pg_read_all_data and pg_write_all_data: every relation, granted or not.
import type { Landscape } from './landscape.ts';
import type { Lint } from './lint.ts';
import { listed, sqlName } from './words.ts';

const everything: ReadonlySet<string> = new Set(['pg_read_all_data', 'pg_write_all_data']);

export const readAllData: Lint = {
  id: 'read-all-data',
  severity: 'warning',
  title: 'a role reads or writes every relation, granted or not',
  reason: 'Row security still binds it on the tables themselves, but not where rows lie outside them: partitions, materialised views, definer views, tables that hold keys and memberships.',
  fix: 'REVOKE pg_read_all_data, pg_write_all_data FROM …; grant what is needed',
  find: (landscape: Landscape) =>
    landscape.guarded.length === 0
      ? []
      : landscape.roles.ordinary.flatMap((role) => {
          const held = landscape.catalog.roles.filter((other) => everything.has(other.name) && (landscape.roles.has(role.oid, other.oid) || landscape.roles.canBecome(role.oid).includes(other)));
          if (held.length === 0) return [];
          const names = held.map((other) => other.name);
          return [{ object: `role ${role.name}`, tables: [], why: `${role.name} is a member of ${listed(names)}.`, fix: `REVOKE ${names.join(', ')} FROM ${sqlName(role.name)}` }];
        }),
};

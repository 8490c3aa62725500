// Publications send rows to subscribers as they are: policies are not asked on the way.
import type { Catalog } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { listed, rolesListed, sqlName, titled } from './words.ts';

export const publication: Lint = {
  id: 'publication',
  severity: 'warning',
  title: 'a publication sends rows past the policies',
  reason: 'Logical replication decodes changes from the log: a subscriber gets every row of a published table. FOR ALL TABLES publishes each new table from its first row on.',
  fix: 'name the tables, give them a row filter (WHERE), and let no role of an application have REPLICATION',
  find: (landscape) => landscape.catalog.publications.flatMap((each) => finding(each, landscape)),
};

function finding(published: Catalog['publications'][number], landscape: Landscape): readonly LintFinding[] {
  const tables = landscape.guarded.filter((table) => published.allTables || published.tables.includes(table.oid));
  if (tables.length === 0) return [];
  const readers = landscape.roles.ordinary.filter((role) => role.replication && role.login && tables.some((table) => landscape.bound(role, table)));
  return [
    {
      object: `publication ${published.name}`,
      tables: tables.map(titled),
      severity: published.allTables && readers.length > 0 ? 'warning' : 'info',
      why: `It publishes ${published.allTables ? 'all tables, those to come included' : listed(tables.map(titled))}${readers.length === 0 ? '' : `, and ${rolesListed(readers)} may subscribe`}; subscribers get every row.`,
      fix: published.allTables ? `DROP PUBLICATION ${sqlName(published.name)}, and create one that names its tables` : `ALTER PUBLICATION ${sqlName(published.name)} SET TABLE … WHERE (…), if not every row is meant`,
    },
  ];
}

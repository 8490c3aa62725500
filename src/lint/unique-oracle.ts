// A unique key that spans tenants tells whether a value exists in rows that nobody shows.
import type { CatalogIndex, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Witness } from '../policy/witness.ts';
import { asksRow, asksSession, effectiveRows } from './effective-rows.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { rowsOfTwo, valueOf } from './two-tenants.ts';
import { listed, rolesListed, sqlName, sqlRelation, tableNameOf, titled } from './words.ts';

export const uniqueOracle: Lint = {
  id: 'unique-oracle',
  severity: 'warning',
  title: 'a unique key tells what exists in rows that are not shown',
  reason: 'Uniqueness is checked over all rows. An INSERT that the policies allow fails if a hidden row has the value, and so answers whether it exists; another tenant can also take a value away.',
  fix: 'put the column that the policies compare with the session into the key',
  find: (landscape) => landscape.guarded.flatMap((table) => table.indexes.filter((index) => index.unique).flatMap((index) => finding(table, index, landscape))),
};

function finding(table: CatalogRelation, index: CatalogIndex, landscape: Landscape): readonly LintFinding[] {
  const columns = index.columns.filter((name) => name !== null);
  if (columns.length === 0 || columns.some((name) => isGenerated(table, name))) return [];
  const roles = landscape.holders(table, 'INSERT').filter((role) => landscape.bound(role, table) && !landscape.roles.has(role.oid, table.owner) && asksRow(effectiveRows(role, table, 'Select', landscape)) && writesFreely(role, table, columns, landscape));
  if (roles.length === 0) return [];
  const pinned = pinnedColumns(table, roles, landscape);
  return [
    {
      object: `index ${index.name} on ${titled(table)}`,
      tables: [titled(table)],
      // Whether a number was used already tells little; whether an address or a name is known tells something.
      severity: columns.every((name) => isNumber(table, name)) ? 'info' : 'warning',
      why: `${rolesListed(roles)} can INSERT rows of their own, and a conflict on ${listed(columns)} tells that a row exists which they do not see.`,
      ...witnessOf(table, columns, roles, landscape),
      fix: `-- with what the policies pin in front\nCREATE UNIQUE INDEX ON ${sqlRelation(table)} (${[...pinned, ...columns].map((name) => sqlName(name)).join(', ')});\n-- then drop ${sqlName(index.name)}`,
    },
  ];
}

function witnessOf(table: CatalogRelation, columns: readonly string[], roles: readonly CatalogRole[], landscape: Landscape): { readonly witness?: Witness } {
  const role = roles.find((each) => each.oid !== 0 && landscape.holders(table, 'SELECT').includes(each));
  const key = madeUp(table, columns);
  if (role === undefined || key === undefined) return {};
  const rows = rowsOfTwo(role, table, key, landscape);
  if (rows === undefined) return {};
  const [mine, theirs] = rows;
  return {
    witness: {
      role: role.name,
      settings: mine.settings,
      kind: 'ExistenceTold',
      hidden: { table: tableNameOf(table), row: mine.row, key },
      asking: { table: tableNameOf(table), row: theirs.row },
      otherSettings: theirs.settings,
      told: 'ByConflict',
      shows: `${role.name} learns of a row of another tenant`,
    },
  };
}

function madeUp(table: CatalogRelation, columns: readonly string[]): Readonly<Record<string, string>> | undefined {
  const values = columns.map((name) => {
    const column = table.columns.find((each) => each.name === name);
    return [name, column === undefined ? undefined : valueOf(column, 1)] as const;
  });
  return values.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(values.map(([name, value]) => [name, value ?? '']));
}

/** Policies let the role write rows, depend on who it is, and leave the key's columns to it. */
function writesFreely(role: CatalogRole, table: CatalogRelation, columns: readonly string[], landscape: Landscape): boolean {
  const policies = landscape.policiesFor(role, table, 'Insert').filter((policy) => policy.permissive);
  const asking = policies.filter((policy) => [policy.check ?? policy.using].some((each) => each !== undefined && asksSession(each.tree)));
  return asking.some((policy) => !columns.some((name) => policy.columns.includes(name)));
}

function pinnedColumns(table: CatalogRelation, roles: readonly CatalogRole[], landscape: Landscape): readonly string[] {
  return [...new Set(roles.flatMap((role) => landscape.policiesFor(role, table, 'Insert').flatMap((policy) => policy.columns)))].slice(0, 1);
}

/** Values that the database makes up are not guessed, and tell nothing. */
function isGenerated(table: CatalogRelation, name: string): boolean {
  const column = table.columns.find((each) => each.name === name);
  return column === undefined || column.identity || column.type === 'uuid' || (column.default !== undefined && /nextval|gen_random_uuid|uuid/.test(column.default));
}

function isNumber(table: CatalogRelation, name: string): boolean {
  return /^(smallint|integer|bigint)$/.test(table.columns.find((each) => each.name === name)?.type ?? '');
}

// How findings name things: for people, and in the SQL of a fix.
import type { CatalogFunction, CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { TableName } from '../policy/table-name.ts';

const namedRoles = 4;

/** `app`, `app and web`, `a, b, c, d and 3 more`. */
export function listed(names: readonly string[]): string {
  const shown = names.length > namedRoles ? [...names.slice(0, namedRoles), `${names.length - namedRoles} more`] : names;
  return shown.length < 2 ? (shown[0] ?? 'nobody') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}

export function rolesListed(roles: readonly CatalogRole[]): string {
  return listed(roles.map((role) => role.name));
}

/** `public.orders`, the way findings name a relation. */
export function titled({ schema, name }: Pick<CatalogRelation, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}

export function tableNameOf({ schema, name }: Pick<CatalogRelation, 'schema' | 'name'>): TableName {
  return { schema, table: name };
}

/** A name in SQL that people paste; always quoted, so that no name means anything else. */
export function sqlName(...path: readonly string[]): string {
  return path.map((name) => `"${name.replaceAll('"', '""')}"`).join('.');
}

export function sqlRelation({ schema, name }: Pick<CatalogRelation, 'schema' | 'name'>): string {
  return sqlName(schema, name);
}

/** Roles in SQL; PUBLIC is a keyword. */
export function sqlRoles(roles: readonly CatalogRole[]): string {
  return roles.map((role) => (role.oid === 0 ? 'PUBLIC' : sqlName(role.name))).join(', ');
}

/** `function public.orders_of(tenant text)`. */
export function functionTitled({ schema, name, arguments: args }: CatalogFunction): string {
  return `function ${schema}.${name}(${args})`;
}

/** For ALTER, REVOKE and DROP. */
export function sqlFunction({ schema, name, arguments: args, kind }: CatalogFunction): string {
  return `${kind === 'Procedure' ? 'PROCEDURE' : 'FUNCTION'} ${sqlName(schema, name)}(${args})`;
}

// The only places where a name or a literal becomes SQL text.
import { RowsealError } from '../../model/errors.ts';
import { everyRole } from '../../policy/desired.ts';
import type { TableName } from '../../policy/table-name.ts';

const maxNameBytes = 63;

/** A quoted identifier. Throws BadPredicate for a name that PostgreSQL would cut or can't hold. */
export function quoteName(name: string): string {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > maxNameBytes || name.includes('\0')) {
    throw new RowsealError('BadPredicate', `${JSON.stringify(name)} can't be a PostgreSQL name`, { next: `write 1 to ${maxNameBytes} bytes without NUL` });
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/** A quoted literal; backslashes stay as they are, since our sessions have standard_conforming_strings on. */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new RowsealError('BadPredicate', 'a literal holds a NUL character', { next: 'PostgreSQL text can hold any character but NUL' });
  return `'${text.replaceAll("'", "''")}'`;
}

export function quoteTable({ schema, table }: TableName): string {
  return `${quoteName(schema)}.${quoteName(table)}`;
}

/** Role names for TO and GRANT; only `PUBLIC` is a keyword. */
export function quoteRoles(roles: readonly string[]): string {
  return roles.map((role) => (role === everyRole ? 'PUBLIC' : quoteName(role))).join(', ');
}

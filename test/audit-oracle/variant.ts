// What is asked of a capture in one run of the oracle, and what of the rows is then to be found in the log.
import { createHmac } from 'node:crypto';
import type { DeclaredColumn } from '../../src/model/audited-columns.ts';
import type { AuditSettings } from '../../src/ports/audit-settings.ts';
import { auditSettings } from '../parts/audited-database.ts';
import { owner } from './schema.ts';
import type { Row } from './script.ts';

/** Unprivileged: the operator is no superuser, so that nothing tells of DDL, and messages are proven by their MAC. */
export type Variant = 'plain' | 'everything' | 'unprivileged';

const hashKey = Buffer.alloc(32, 9);
const columnsOf = new Map<string, readonly DeclaredColumn[]>([
  ['account', [{ column: 'note', mode: 'omit' }]],
  ['child', [{ column: 'note', mode: 'redact' }]],
  ['keyless', [{ column: 'note', mode: 'hash', keyId: 'k' }]],
  ['region', [{ column: 'note', mode: 'hash', keyId: 'k' }]],
]);

export const operator = { user: 'operator', password: 'oracle-operator' };

/** Statements of a superuser before the capture. */
export function operatorSql(variant: Variant): string {
  if (variant !== 'unprivileged') return '';
  return `create role ${operator.user} login replication bypassrls password '${operator.password}'; grant ${owner} to ${operator.user};
    grant create on database postgres to ${operator.user}; grant usage, create on schema public to ${operator.user}`;
}

export function variantSettings(variant: Variant, tables: readonly string[]): AuditSettings {
  if (variant !== 'everything') return auditSettings(tables);
  const plain = auditSettings(tables, 'Full', 'Record');
  const withColumns = (table: string) => (columnsOf.has(table) ? { columns: columnsOf.get(table) ?? [] } : {});
  return { ...plain, tables: plain.tables.map((table) => ({ ...table, baseline: true as const, ...withColumns(table.table) })), hashKeys: new Map([['k', hashKey]]) };
}

/** Whether every value of the table is in the log. */
export function isWhole(variant: Variant, table: string): boolean {
  return variant !== 'everything' || !columnsOf.has(table);
}

/** A row as the log may hold it. */
export function treatedRow(variant: Variant, table: string, row: Row): Row {
  const root = table.startsWith('region_') ? 'region' : table;
  const treated: Record<string, string | null> = { ...row };
  for (const { column, mode } of (variant === 'everything' && columnsOf.get(root)) || []) {
    const value = treated[column];
    if (value === undefined) continue;
    if (mode === 'omit') delete treated[column];
    else if (mode === 'redact') treated[column] = '[redacted]';
    else treated[column] = value === null ? null : `hmac-sha256:${createHmac('sha256', hashKey).update(value).digest('hex')}`;
  }
  return treated;
}

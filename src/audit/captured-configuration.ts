// The configuration as the source state keeps it: without digests, which change on their own.
import type { CaptureConfiguration, ConfiguredTable } from '../ports/audit-database.ts';

export interface CapturedConfiguration {
  readonly claimsSetting: string;
  readonly tables: readonly Omit<ConfiguredTable, 'policyDigest'>[];
}

export function withoutDigests({ claimsSetting, tables }: CaptureConfiguration): CapturedConfiguration {
  return { claimsSetting, tables: tables.map(({ oid, schema, table, ancestors, key, operations }) => ({ oid, schema, table, ancestors, key, operations })) };
}

/** What a source state holds; undefined before the first configuration. The journal's signature vouches for its shape. */
export function capturedConfiguration(stored: unknown): CapturedConfiguration | undefined {
  return typeof stored === 'object' && stored !== null && 'tables' in stored ? (stored as CapturedConfiguration) : undefined;
}

export function configuredTables(stored: unknown): ReadonlyMap<number, Omit<ConfiguredTable, 'policyDigest'>> {
  return new Map((capturedConfiguration(stored)?.tables ?? []).map((table) => [table.oid, table]));
}

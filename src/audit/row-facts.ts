// What is decided of a row from the configuration alone: whether a new table is ours, and which policy set governed.
import type { ConfiguredTable, RelationShape } from '../ports/audit-database.ts';
import type { OpenStatement } from './context.ts';

export const operationNames = { insert: 'Insert', update: 'Update', delete: 'Delete', truncate: 'Truncate' } as const;

/** A new partition records what its root records; a table that is gone is kept, since nothing tells that it was not ours. */
export function learnedTable(
  { schema, table }: RelationShape,
  found: Pick<ConfiguredTable, 'ancestors' | 'key'> | undefined,
  tables: ReadonlyMap<number, Omit<ConfiguredTable, 'policyDigest'>>,
): Omit<ConfiguredTable, 'policyDigest' | 'oid'> | undefined {
  if (found === undefined) return { schema, table, ancestors: [], key: [], operations: ['Insert', 'Update', 'Delete', 'Truncate'] };
  const root = found.ancestors.map((ancestor) => tables.get(ancestor)).find((ancestor) => ancestor !== undefined);
  if (root === undefined) return undefined;
  return { schema, table, ...found, operations: root.operations, ...(root.context === undefined ? {} : { context: root.context }) };
}

/** The set of the table that the statement named; without a statement only a table without partitions above it is certain. */
export function policyDigest(policies: Readonly<Record<string, string>>, owner: OpenStatement | undefined, table: { readonly oid: number; readonly ancestors: readonly number[] }): string | undefined {
  const governed = owner?.relation ?? (table.ancestors.length === 0 ? table.oid : undefined);
  return governed === undefined ? undefined : policies[governed];
}

export function policyJson(digest: string | undefined, { environment, policyEvidence }: { readonly environment: string | undefined; readonly policyEvidence: string }): string {
  const around = environment === undefined ? '' : `,"environment":"${environment}"`;
  return digest === undefined ? `{"digest":null${around},"evidence":"unknown"}` : `{"digest":"${digest}"${around},"evidence":"${policyEvidence}"}`;
}

// What is decided of a row from the configuration alone: whether a new table is ours, and which policy set governed.
import type { ConfiguredColumns } from '../model/audited-columns.ts';
import type { ConfiguredTable, FoundPartition, RelationShape } from '../ports/audit-database.ts';
import type { OpenStatement } from './context.ts';

export const operationNames = { insert: 'Insert', update: 'Update', delete: 'Delete', truncate: 'Truncate' } as const;

/** A new partition records what its root records; a table that is gone is kept, since nothing tells that it was not ours. */
export function learnedTable(
  { oid, schema, table }: RelationShape,
  found: FoundPartition | undefined,
  tables: ReadonlyMap<number, Omit<ConfiguredTable, 'policyDigest'>>,
): Omit<ConfiguredTable, 'policyDigest' | 'oid'> | undefined {
  if (found === undefined) {
    // Nothing tells either which of its columns are to be kept out, where there are any.
    const guarded = [...tables.values()].some(({ columns }) => columns !== undefined);
    return { schema, table, ancestors: [], key: [], operations: ['Insert', 'Update', 'Delete', 'Truncate'], ...(guarded ? { columns: nothingKnown } : {}) };
  }
  const root = found.ancestors.map((ancestor) => tables.get(ancestor)).find((ancestor) => ancestor !== undefined);
  if (root === undefined) return undefined;
  const { ancestors, key } = found;
  return { schema, table, ancestors, key, operations: root.operations, ...(root.context === undefined ? {} : { context: root.context }), ...(root.columns === undefined ? {} : { columns: inheritedColumns(oid, found, { ...root, columns: root.columns }) }) };
}

const nothingKnown: ConfiguredColumns = { live: [], last: 0, treated: [], rest: 'redact' };

/** A partition's columns bear the names of its root's, under other attribute numbers. */
function inheritedColumns(oid: number, found: FoundPartition, root: { readonly oid: number; readonly columns: ConfiguredColumns }): ConfiguredColumns {
  const own = found.columns.get(oid);
  const above = found.columns.get(root.oid);
  if (own === undefined || above === undefined) return nothingKnown;
  const treated = root.columns.treated.flatMap((column) => {
    const name = above.names[above.live.indexOf(column.attnum)];
    const attnum = name === undefined ? undefined : own.live[own.names.indexOf(name)];
    return attnum === undefined ? [] : [{ ...column, attnum }];
  });
  const { live, last } = own;
  const whole = treated.length === root.columns.treated.length && root.columns.rest === undefined;
  return { live, last, treated, ...(whole ? {} : { rest: 'redact' as const }) };
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

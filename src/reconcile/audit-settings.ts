// What the AuditPolicies of one database and one log declare together.
import { type ObjectKey, type Resource, resolveRef } from '../model/kinds.ts';
import type { AuditedTable, AuditSettings } from '../ports/audit-settings.ts';

const allOperations: AuditedTable['operations'] = ['Insert', 'Update', 'Delete', 'Truncate'];

/** Of one group: the union, in a stable order, so that equal declarations give equal settings. Full wins over Keep, Snapshot over None, Record over Ignore. */
export function auditSettings(policies: readonly Resource<'AuditPolicy'>[]): AuditSettings {
  const [first] = policies;
  const connection = first === undefined ? {} : { connection: nameOf(resolveRef(first.spec.databaseRef, first.metadata)) };
  const tables = new Map<string, { schema: string; table: string; operations: Set<string>; baseline: boolean; statements: boolean }>();
  for (const { spec } of policies) {
    for (const entry of spec.tables) {
      for (const table of entry.tables) {
        const id = JSON.stringify([entry.schema, table]);
        const known = tables.get(id) ?? { schema: entry.schema, table, operations: new Set<string>(), baseline: false, statements: false };
        for (const operation of entry.operations ?? allOperations) known.operations.add(operation);
        known.baseline ||= spec.baseline === 'Snapshot';
        known.statements ||= spec.context !== 'Transaction';
        tables.set(id, known);
      }
    }
  }
  return {
    ...connection,
    tables: [...tables.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { schema, table, operations, baseline, statements }]) => ({
        schema,
        table,
        operations: allOperations.filter((operation) => operations.has(operation)),
        ...(baseline ? { baseline } : {}),
        ...(statements ? {} : { context: 'Transaction' }),
      })),
    schemaChanges: policies.every(({ spec }) => spec.schemaChanges === 'Ignore') ? 'Ignore' : 'Record',
    replicaIdentity: policies.every(({ spec }) => spec.replicaIdentity === 'Keep') ? 'Keep' : 'Full',
  };
}

function nameOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

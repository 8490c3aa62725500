// What the AuditPolicies of one database and one log declare together.
import { type DeclaredColumn, stricter } from '../model/audited-columns.ts';
import { type ObjectKey, type Resource, resolveRef } from '../model/kinds.ts';
import type { AuditedTable, AuditSettings } from '../ports/audit-settings.ts';
import type { ReadSettings } from '../ports/server-log.ts';
import type { HashKey } from './hash-keys.ts';

type Entry = Resource<'AuditPolicy'>['spec']['tables'][number];

export interface SettingsSources {
  /** By namespace and name of the policies that hash columns. */
  readonly hashKeys?: ReadonlyMap<string, HashKey>;
  /** As the DatabaseConnection declares it. */
  readonly serverLog?: Omit<ReadSettings, 'statements'> | undefined;
}

const allOperations: AuditedTable['operations'] = ['Insert', 'Update', 'Delete', 'Truncate'];

/** Of one group: the union, in a stable order, so that equal declarations give equal settings. Full wins over Keep, the stricter treatment of a column over the other, Snapshot over None, Record over Ignore. */
export function auditSettings(policies: readonly Resource<'AuditPolicy'>[], { hashKeys = new Map(), serverLog }: SettingsSources = {}): AuditSettings {
  const [first] = policies;
  const connection = first === undefined ? {} : { connection: nameOf(resolveRef(first.spec.databaseRef, first.metadata)) };
  const tables = new Map<string, { schema: string; table: string; operations: Set<string>; baseline: boolean; statements: boolean; columns: Map<string, DeclaredColumn> }>();
  // In one order, so that the same key hashes a column that two policies name.
  for (const { metadata, spec } of policies.toSorted((a, b) => (nameOf(a.metadata) < nameOf(b.metadata) ? -1 : 1))) {
    for (const entry of spec.tables) {
      for (const table of entry.tables) {
        const id = JSON.stringify([entry.schema, table]);
        const known = tables.get(id) ?? { schema: entry.schema, table, operations: new Set<string>(), baseline: false, statements: false, columns: new Map<string, DeclaredColumn>() };
        for (const operation of entry.operations ?? allOperations) known.operations.add(operation);
        for (const column of declaredColumns(entry, hashKeys.get(nameOf(metadata)))) known.columns.set(column.column, stricter(known.columns.get(column.column) ?? column, column));
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
      .map(([, { schema, table, operations, baseline, statements, columns }]) => ({
        schema,
        table,
        operations: allOperations.filter((operation) => operations.has(operation)),
        ...(baseline ? { baseline } : {}),
        ...(statements ? {} : { context: 'Transaction' }),
        ...(columns.size === 0 ? {} : { columns: [...columns.values()].sort((a, b) => (a.column < b.column ? -1 : 1)) }),
      })),
    schemaChanges: policies.every(({ spec }) => spec.schemaChanges === 'Ignore') ? 'Ignore' : 'Record',
    replicaIdentity: policies.every(({ spec }) => spec.replicaIdentity === 'Keep') ? 'Keep' : 'Full',
    ...readsOf(policies, serverLog),
    ...(hashKeys.size === 0 ? {} : { hashKeys: new Map([...hashKeys.values()].map(({ id, key }) => [id, key])) }),
  };
}

/** What one policy omits another may ask for; without a place to read from nothing is read, which the status says. */
function readsOf(policies: readonly Resource<'AuditPolicy'>[], serverLog: SettingsSources['serverLog']): Pick<AuditSettings, 'reads'> {
  const asked = policies.flatMap(({ spec }) => (spec.reads === undefined ? [] : [spec.reads]));
  if (asked.length === 0 || serverLog === undefined) return {};
  return { reads: { ...serverLog, statements: asked.some(({ statements }) => statements === 'Record') ? 'Record' : 'Omit' } };
}

/** Without its key a hashed column is redacted: the keys of all are read before, so that this is only a precaution. */
function declaredColumns({ columns }: Entry, key: HashKey | undefined): readonly DeclaredColumn[] {
  const { omit = [], hash = [], redact = [] } = columns ?? {};
  return [
    ...omit.map((column) => ({ column, mode: 'omit' as const })),
    ...hash.map((column) => (key === undefined ? { column, mode: 'redact' as const } : { column, mode: 'hash' as const, keyId: key.id })),
    ...redact.map((column) => ({ column, mode: 'redact' as const })),
  ];
}

function nameOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

// What is missing for a table to be captured as declared: decided from what the catalog says, changing nothing (DESIGN §5, Coverage).
import type { CaptureConfiguration } from '../../ports/audit-database.ts';
import type { CoverageProblem, MendedCoverage, TableCoverage } from '../../ports/audit-coverage.ts';
import type { AuditSettings } from '../../ports/audit-settings.ts';
import type { AuditCatalog, CatalogTable } from './audit-catalog.ts';

/** What only somebody else can mend: such a table is left out of everything that we install. */
export function obstacle(table: CatalogTable, settings: AuditSettings): CoverageProblem | undefined {
  if (table.kind === 'f') return 'Foreign';
  if (table.persistence !== 'p') return 'Unlogged';
  return table.owned || mendableProblems(table, settings).length === 0 ? undefined : 'NotOwner';
}

/** Without a key an update or delete of a published table would fail, so it gets FULL whatever is asked for. */
export function needsFullIdentity(table: CatalogTable, settings: AuditSettings): boolean {
  if (table.kind === 'p' || table.identity === 'f') return false;
  return settings.replicaIdentity === 'Full' || table.identity === 'n' || (table.identity === 'd' && table.key.length === 0);
}

/** What installing mends. */
function mendableProblems(table: CatalogTable, settings: AuditSettings): readonly CoverageProblem[] {
  const problems: CoverageProblem[] = [];
  if (table.declared && table.publication === 'none') problems.push('NotPublished');
  if (table.declared && table.publication === 'filtered') problems.push('Filtered');
  if (table.declared && table.publication !== 'none' && !table.operationsPublished) problems.push('OperationsNotPublished');
  // Empty where an earlier version recorded it.
  if (problems.length === 0 && table.recorded && table.recordedPieces !== '' && table.recordedPieces !== table.pieces) problems.push('Interrupted');
  if (needsFullIdentity(table, settings)) problems.push('IdentityReduced');
  if (table.context !== 'Transaction' && !table.triggersStand) problems.push('TriggerMissing');
  return problems;
}

/** What was broken after it had been installed; what was never captured is only beginning. */
export function brokenCoverage({ tables }: AuditCatalog, settings: AuditSettings): readonly MendedCoverage[] {
  return tables.flatMap((table): readonly MendedCoverage[] => {
    // For a log that says it was audited, as after a restored disk, it is a gap.
    if (!table.recorded) return table.declared && obstacle(table, settings) === undefined ? [{ schema: table.schema, table: table.table, oid: table.oid, problem: 'NotRecorded' }] : [];
    const stands = obstacle(table, settings);
    const problems = stands === undefined || stands === 'NotOwner' ? mendableProblems(table, settings) : [stands];
    return problems.map((problem) => ({ schema: table.schema, table: table.table, oid: table.oid, problem }));
  });
}

/** What went away after it was looked at and came back with what we installed: its rows are others, and nothing says why. */
export function interruptedMeanwhile({ tables }: AuditCatalog, unsaid: readonly MendedCoverage[]): readonly MendedCoverage[] {
  const told = new Set(unsaid.map(({ oid }) => oid));
  return tables.flatMap(({ oid, schema, table, recordedPieces, pieces }) =>
    recordedPieces === null || recordedPieces === '' || recordedPieces === pieces || told.has(oid) ? [] : [{ schema, table, oid, problem: 'Interrupted' as const }],
  );
}

export function standsComplete({ tables }: AuditCatalog, settings: AuditSettings): boolean {
  // A table that nobody can capture any more is to be taken out of the configuration: that, too, is something to install.
  return tables.every((table) => (obstacle(table, settings) === undefined ? stands(table, settings) : !table.recorded));
}

function stands(table: CatalogTable, settings: AuditSettings): boolean {
  return table.recorded && !table.triggersUnused && table.resolvedColumns?.recorded !== false && mendableProblems(table, settings).length === 0;
}

/** Every declared table, and every partition with a problem of its own. */
export function coverageOf({ tables, absent }: AuditCatalog, settings: AuditSettings): readonly TableCoverage[] {
  const present = tables.flatMap((table) => {
    const stands = obstacle(table, settings);
    const ofColumns = table.resolvedColumns?.problems ?? [];
    const problems = [...(stands === undefined ? mendableProblems(table, settings) : [stands]), ...new Set(ofColumns.map(({ problem }) => problem))];
    const { schema, table: name, operations, declaredAs } = table;
    const columns = ofColumns.length === 0 ? {} : { columns: ofColumns.map(({ column }) => column) };
    return table.declared || problems.length > 0 ? [{ schema, table: name, operations, declared: { schema: declaredAs.schema, table: declaredAs.table }, problems, ...columns }] : [];
  });
  return [...present, ...absent.map(({ schema, table, problem }) => ({ schema, table, operations: [], declared: { schema, table }, problems: [problem] }))];
}

function configuredTable({ oid, schema, table, ancestors, key, operations, policyDigest, context, columns }: CatalogTable): CaptureConfiguration['tables'][number] {
  return { oid, schema, table, ancestors, key, operations, policyDigest, ...(context === undefined ? {} : { context }), ...(columns === undefined ? {} : { columns }) };
}

interface Configured {
  readonly claimsSetting: string;
  readonly settings: AuditSettings;
  readonly eventTriggers: boolean;
  /** What statements' messages are believed by. */
  readonly proof: 'Privilege' | 'Hmac';
}

export function configurationOf(catalog: AuditCatalog, { claimsSetting, settings, eventTriggers, proof }: Configured): CaptureConfiguration {
  // A table that appeared after the installation is not in the publication yet, whatever its name: the next look installs it. A
  // partition is captured through what it is a part of, from its first row on.
  const recorded = new Set(catalog.tables.flatMap(({ oid, recorded: known }) => (known ? [oid] : [])));
  const published = (table: CatalogTable) => table.recorded || (!table.declared && table.ancestors.some((ancestor) => recorded.has(ancestor)));
  const missing = (table: CatalogTable) => obstacle(table, settings) ?? (published(table) ? undefined : 'NotPublished');
  const captured = catalog.tables.filter((table) => missing(table) === undefined);
  const left = catalog.tables.flatMap((table) => {
    const problem = missing(table);
    return problem === undefined ? [] : [{ schema: table.schema, table: table.table, problem }];
  });
  return {
    claimsSetting,
    proof,
    schemaChanges: settings.schemaChanges ?? 'Ignore',
    policyEvidence: eventTriggers ? 'wal' : 'polled',
    absent: [...left, ...catalog.absent],
    tables: captured.map(configuredTable),
  };
}

// What an AuditPolicy's status says of its tables: which are captured as declared, which are not, and why (DESIGN §5, Coverage).
import type { ConditionUpdate } from '../model/condition.ts';
import type { AuditPolicySpec, AuditPolicyStatus } from '../model/kinds.ts';
import type { CoverageProblem, TableCoverage } from '../ports/audit-coverage.ts';
import type { AuditStatus } from '../ports/audit-runtime.ts';
import type { Readiness } from './readiness.ts';

/** As many tables as the status lists; those with problems come first. */
const maxTables = 64;
const maxNamed = 5;

const nextOf: Readonly<Record<CoverageProblem, string>> = {
  Missing: 'no table has this name: create it, or correct the name in the AuditPolicy',
  NotATable: 'it is a view or something else that has no changes in the WAL: name its tables',
  Foreign: 'a foreign table changes on another server: audit it there',
  Unlogged: 'its changes are not in the WAL: ALTER TABLE … SET LOGGED',
  NotOwner: "Rowseal's role may not alter it: make it a member of the table's owner",
  NotPublished: 'it is not in the publication, and is put back',
  Filtered: 'the publication leaves rows or columns of it out, which is taken back',
  OperationsNotPublished: 'the publication leaves operations out, which is taken back',
  Interrupted: 'it was not captured for a while, which is sealed as a gap',
  IdentityReduced: 'its replica identity gives no complete before-images, which is taken back',
  TriggerMissing: 'its rows have no actor while its statement triggers are missing; they are put back',
  ColumnMissing: 'a column that is to be kept out of the log was never found, so all of its columns are redacted: correct the name in the AuditPolicy',
  ColumnRenamed: 'a column that is to be kept out of the log has another name now; it is still kept out: name it in the AuditPolicy as it is called',
  ColumnDropped: 'a column that is to be kept out of the log was dropped: take it out of the AuditPolicy',
  KeyNotRecorded: 'a column of its key is omitted or redacted, so its rows cannot be told apart: hash it instead',
};

type Coverage = NonNullable<AuditStatus['coverage']>;

/** Rows of such a table are captured all the same. */
const harmless: ReadonlySet<CoverageProblem> = new Set<CoverageProblem>([
  'Interrupted', 'IdentityReduced', 'TriggerMissing', 'ColumnMissing', 'ColumnRenamed', 'ColumnDropped', 'KeyNotRecorded',
]);

/** The tables of this policy alone: others of the same capture may belong to somebody else. */
function tablesOf(spec: AuditPolicySpec, { tables }: Coverage): readonly TableCoverage[] {
  const declared = new Set(spec.tables.flatMap(({ schema, tables: names }) => names.map((table) => JSON.stringify([schema, table]))));
  return tables.filter((table) => declared.has(JSON.stringify([table.declared.schema, table.declared.table])));
}

export function coverageStatus(spec: AuditPolicySpec, coverage: Coverage): NonNullable<AuditPolicyStatus['coverage']> {
  const all = tablesOf(spec, coverage);
  const sorted = [...all].sort((a, b) => Number(b.problems.length > 0) - Number(a.problems.length > 0) || (nameOf(a) < nameOf(b) ? -1 : 1));
  return {
    total: all.length,
    uncovered: all.filter((table) => table.problems.length > 0).length,
    tables: sorted.slice(0, maxTables).map((table) => ({
      name: nameOf(table),
      captured: table.problems.every((problem) => harmless.has(problem)) ? [...table.operations] : [],
      problems: [...table.problems],
    })),
  };
}

export function coverageConditions(spec: AuditPolicySpec, coverage: Coverage): readonly ConditionUpdate[] {
  const broken = tablesOf(spec, coverage).filter((table) => table.problems.length > 0);
  return [covered(broken), schemaChanges(spec, coverage)];
}

/** Ready only when every declared table is captured. */
export function uncoveredReadiness(spec: AuditPolicySpec, coverage: Coverage): Readiness | undefined {
  const broken = tablesOf(spec, coverage).filter((table) => table.problems.length > 0);
  return broken.length === 0 ? undefined : { state: 'reconciling', reason: 'NotCovered', message: describe(broken) };
}

function covered(broken: readonly TableCoverage[]): ConditionUpdate {
  const [first] = broken;
  if (first === undefined) return { type: 'Covered', status: 'True', reason: 'AllTablesCaptured', message: 'every declared table and operation is captured' };
  return { type: 'Covered', status: 'False', reason: first.problems[0] ?? 'NotCovered', message: describe(broken) };
}

function schemaChanges({ schemaChanges: asked }: AuditPolicySpec, { eventTriggers }: Coverage): ConditionUpdate {
  const type = 'SchemaChangesRecorded';
  if (asked === 'Ignore') return { type, status: 'False', reason: 'NotAskedFor', message: 'schemaChanges is Ignore: only what is done to the capture itself is recorded' };
  if (eventTriggers) return { type, status: 'True', reason: 'EventTriggers', message: 'commands are recorded in their own transactions; roles and settings by comparison every two seconds' };
  const message = 'event triggers need a superuser: roles, rights and functions are recorded by comparison every two seconds, other commands are not, and policies in row entries are marked as polled';
  return { type, status: 'False', reason: 'ByComparison', message };
}

function describe(broken: readonly TableCoverage[]): string {
  const named = broken.slice(0, maxNamed).map((table) => `${nameOf(table)}${columnsOf(table)}: ${table.problems.map((problem) => nextOf[problem]).join('; ')}`);
  const more = broken.length > maxNamed ? [`and ${broken.length - maxNamed} more, see status.coverage`] : [];
  return [...named, ...more].join(' — ');
}

function columnsOf({ columns }: TableCoverage): string {
  return columns === undefined ? '' : ` (${columns.join(', ')})`;
}

function nameOf({ schema, table }: TableCoverage): string {
  return `${schema}.${table}`;
}

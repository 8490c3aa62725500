// The status of a RowPolicy: its plan, tables and tests as they are shown, and failures as reasons a person can act on.
import { findCondition } from '../model/condition.ts';
import { RowsealError, toRowsealError } from '../model/errors.ts';
import type { Resource, RowPolicyStatus } from '../model/kinds.ts';
import type { Observation } from '../policy/observed.ts';
import { describeTable, tableKey, type TableName } from '../policy/table-name.ts';
import type { RenderedStep, TestOutcome } from '../ports/policy-database.ts';
import type { Readiness } from './readiness.ts';
import type { Look } from './row-policy-look.ts';

type Policy = Resource<'RowPolicy'>;

const maxSteps = 32;
const maxSqlLength = 16_384;
const maxMessageLength = 1_024;
const maxTables = 64;
const maxNames = 8;

/** `digest` is the one that an approval names. */
export function planStatus(digest: string, rendered: readonly RenderedStep[]): NonNullable<RowPolicyStatus['plan']> {
  const steps = rendered.slice(0, maxSteps).map((step) => ({ ...step, sql: step.sql.slice(0, maxSqlLength), why: step.why.slice(0, maxMessageLength) }));
  return { digest, steps, total: rendered.length };
}

/** When this run changed a table, by its description. */
export type AppliedNow = ReadonlyMap<string, string>;

/** The governed tables as observed, the first ones and their number; `appliedAt` moves only for tables of the applied plan. */
export function tablesStatus(policy: Policy, { desired, observation }: Look, applied: AppliedNow): Required<Pick<RowPolicyStatus, 'tables' | 'tablesTotal'>> {
  const wanted = new Set(desired.tables.map(({ table }) => tableKey(table)));
  const governed = observation.tables.filter((table) => wanted.has(tableKey(table.table)));
  const tables = governed.slice(0, maxTables).map((table) => {
    const name = describeTable(table.table);
    const appliedAt = applied.get(name) ?? policy.status.tables?.find((before) => before.name === name)?.appliedAt;
    return { name, digest: `sha256:${table.digest}`, ...(appliedAt === undefined ? {} : { appliedAt }) };
  });
  return { tables, tablesTotal: governed.length };
}

/** Ready, unless a selector matches nothing: then there is nothing to enforce yet, and somebody may have mistyped it. */
export function enforced({ desired: { target, tables, ungovernable }, observation }: Look): Readiness {
  const excepted = ungovernable.length === 0 ? '' : `; not governed, since no policy can be put on foreign tables and materialised views: ${shortList(ungovernable)}`;
  if (tables.length === 0) return { state: 'reconciling', reason: 'NoTables', message: `the selector matches no table of schema ${target.schema}${excepted}; tables are governed as soon as it does` };
  const message = `the policies of ${tables.length === 1 ? 'the table' : `${tables.length} tables`} equal the manifest${excepted}`;
  if (observation.guard?.active !== false) return { state: 'ready', reason: 'Enforced', message };
  // What holds is said, and what doesn't: promise 2 excludes this window by name (DESIGN §5).
  const window = 'a new partition, inheritance child or matching table is open to whoever has privileges on it until the next look, up to 10 s later, since our role may not create event triggers';
  return { state: 'ready', reason: 'GuardUnavailable', message: `${message}; ${window}` };
}

function shortList(names: readonly TableName[]): string {
  const more = names.length > maxNames ? ` and ${names.length - maxNames} more` : '';
  return `${names.slice(0, maxNames).map(describeTable).join(', ')}${more}`;
}

export function testsStatus(outcomes: readonly TestOutcome[]): NonNullable<RowPolicyStatus['tests']> {
  return outcomes.map(({ name, passed, message }) => ({ name, passed, ...(message === undefined ? {} : { message: message.slice(0, maxMessageLength) }) }));
}

/** Tables that the status says are in force for this very spec, and that look different now: somebody changed them outside. */
export function driftedTables(policy: Policy, observation: Observation): readonly string[] {
  const ready = findCondition(policy.status.conditions, 'Ready');
  if (ready?.status !== 'True' || policy.status.observedGeneration !== policy.metadata.generation) return [];
  const known = policy.status.tables ?? [];
  return observation.tables
    .map((table) => ({ name: describeTable(table.table), digest: `sha256:${table.digest}` }))
    .filter((table) => known.some((before) => before.name === table.name && before.digest !== table.digest))
    .map((table) => table.name);
}

/** Stalled waits for a person, Reconciling for time; the reason is one word of a small vocabulary (docs/row-policies.md). */
export function policyFailure(error: unknown): Readiness {
  const failure = toRowsealError(error, 'DatabaseStatement');
  return { state: failure.retryable ? 'reconciling' : 'stalled', reason: reasonOf(failure), message: error instanceof RowsealError ? error.describe() : failure.message };
}

function reasonOf(failure: RowsealError): string {
  switch (failure.code) {
    case 'DatabaseObjectMissing':
      return missingReason(failure.object ?? '');
    case 'BadPredicate':
      return 'InvalidPredicate';
    case 'BadReference':
    case 'DatabaseUnreachable':
      return 'DatabaseNotReady';
    case 'DatabasePrivilege':
      return failure.object?.startsWith('role ') === true ? 'ExemptRoleBound' : 'MissingPrivilege';
    case 'DatabaseConflict':
      return 'Conflict';
    default:
      return failure.code;
  }
}

function missingReason(object: string): string {
  const [kind = ''] = object.split(' ');
  const reasons: Readonly<Record<string, string>> = { table: 'TableMissing', role: 'RoleMissing', column: 'ColumnMissing' };
  return reasons[kind] ?? 'ObjectMissing';
}

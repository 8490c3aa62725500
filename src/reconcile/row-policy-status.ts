// The status of a RowPolicy: its plan, tables and tests as they are shown, and failures as reasons a person can act on.
import { findCondition } from '../model/condition.ts';
import { RowsealError, toRowsealError } from '../model/errors.ts';
import type { Resource, RowPolicyStatus } from '../model/kinds.ts';
import { targetTables } from '../policy/desired.ts';
import type { Observation } from '../policy/observed.ts';
import { describeTable, sameTable } from '../policy/table-name.ts';
import type { RenderedStep, TestOutcome } from '../ports/policy-database.ts';
import type { Readiness } from './readiness.ts';

type Policy = Resource<'RowPolicy'>;

const maxSteps = 32;
const maxSqlLength = 16_384;
const maxMessageLength = 1_024;

/** `digest` is the one that an approval names. */
export function planStatus(digest: string, rendered: readonly RenderedStep[]): NonNullable<RowPolicyStatus['plan']> {
  const steps = rendered.slice(0, maxSteps).map((step) => ({ ...step, sql: step.sql.slice(0, maxSqlLength), why: step.why.slice(0, maxMessageLength) }));
  return { digest, steps, total: rendered.length };
}

/** When this run changed a table, by its description. */
export type AppliedNow = ReadonlyMap<string, string>;

/** The governed tables as observed; `appliedAt` moves only for tables of the applied plan. */
export function tablesStatus(policy: Policy, observation: Observation, applied: AppliedNow): NonNullable<RowPolicyStatus['tables']> {
  return targetTables(policy.spec).flatMap((name) => {
    const table = observation.tables.find((candidate) => sameTable(candidate.table, name));
    if (table === undefined) return [];
    const appliedAt = applied.get(describeTable(name)) ?? policy.status.tables?.find((before) => before.name === describeTable(name))?.appliedAt;
    return [{ name: describeTable(name), digest: `sha256:${table.digest}`, ...(appliedAt === undefined ? {} : { appliedAt }) }];
  });
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
      return 'MissingPrivilege';
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

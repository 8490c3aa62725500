// Parts a plan into what may be applied now and what has to wait: whatever narrows never waits for what widens (DESIGN §3).
import type { CompiledPolicy } from './compiled.ts';
import { tableOf, withDigest } from './plan-order.ts';
import type { Operation, Plan, Step } from './step.ts';
import { describeTable, sameTable } from './table-name.ts';

/**
 * The part of the plan whose steps are admitted, as a plan of its own. A policy is replaced whole or not at all, and so is what
 * an owner that leaves brings back: half of it would close the table and forget how it was.
 */
export function portionOf(plan: Plan, admitted: (step: Step) => boolean): Plan {
  const refused = plan.steps.filter((step) => !admitted(step));
  if (refused.length === 0) return plan;
  if (plan.leaving) return withDigest({ ...plan, steps: [], adoptions: [], releases: [], tables: [], guard: undefined });
  const held = new Set(refused.map(({ operation }) => policyKey(operation)).filter((key) => key !== undefined));
  const kept = plan.steps.filter((step) => admitted(step) && !held.has(policyKey(step.operation) ?? ''));
  const steps = kept.filter((step) => step.operation.kind !== 'CreateFunction' || isCalled(step.operation.function.name, kept));
  const touched = [...steps.map(({ operation }) => tableOf(operation)), ...[...plan.adoptions, ...plan.releases].map(({ table }) => table)].filter((name) => name !== undefined);
  const tables = plan.tables
    .filter(({ table }) => touched.some((name) => sameTable(name, table)))
    .map((planned) => (refused.some(({ operation }) => isFlag(operation) && sameTable(operation.table, planned.table)) ? { ...planned, declared: '' as const } : planned));
  return withDigest({ ...plan, steps, tables });
}

/** What may be applied whatever waits: a step that widens nothing, or that only repairs. */
export function needsNoLeave(step: Step): boolean {
  return !step.widening || step.mends === true;
}

/** The policy that an operation is about, as a map key. */
export function policyKey(operation: Operation): string | undefined {
  const name = 'policy' in operation ? operation.policy.name : operation.kind === 'DropPolicy' ? operation.name : undefined;
  return name === undefined || !('table' in operation) ? undefined : `${describeTable(operation.table)} ${name}`;
}

function isFlag(operation: Operation): operation is Extract<Operation, { kind: 'NoForceRowSecurity' | 'DisableRowSecurity' | 'EnableRowSecurity' | 'ForceRowSecurity' }> {
  return operation.kind.endsWith('RowSecurity');
}

function isCalled(name: string, steps: readonly Step[]): boolean {
  const policies = steps.flatMap(({ operation }): readonly CompiledPolicy[] => ('policy' in operation ? [operation.policy] : []));
  return policies.some((policy) => policy.functions.some((helper) => helper.name === name));
}

// The order of a plan's steps: fail-closed, so that even a reader between two steps would see too little, never too much.
import { createHash } from 'node:crypto';
import type { CompiledTable } from './compiled.ts';
import type { GuardChange } from './guard.ts';
import type { Observation } from './observed.ts';
import type { Adoption, Operation, Plan, Release, Step } from './step.ts';
import { describeTable, sameTable } from './table-name.ts';

export const phases = {
  prepare: 0,
  tighten: 1,
  restrict: 2,
  narrow: 3,
  widen: 4,
  loosen: 5,
  loosenFlags: 6,
} as const;

export interface PhasedStep {
  readonly phase: (typeof phases)[keyof typeof phases];
  readonly step: Step;
}

/** By phase, otherwise in the order given; a helper function that several policies call is created once. */
export function inFailClosedOrder(steps: readonly PhasedStep[]): readonly Step[] {
  const seen = new Set<string>();
  const ordered = [...steps].sort((a, b) => a.phase - b.phase).map(({ step }) => step);
  return ordered.filter(({ operation }) => {
    if (operation.kind !== 'CreateFunction') return true;
    const key = JSON.stringify([operation.function.definition, operation.function.roles]);
    return seen.has(key) ? false : seen.add(key);
  });
}

interface Sealing {
  readonly owner: string;
  readonly steps: readonly Step[];
  readonly adoptions?: readonly Adoption[];
  readonly releases?: readonly Release[];
  readonly observation: Observation;
  readonly leaving: boolean;
  readonly guard?: GuardChange | undefined;
  /** What is declared of each table; none when the owner leaves. */
  readonly declared?: readonly Pick<CompiledTable, 'table' | 'rowSecurity'>[];
}

/** A plan with the tables it touches, and its digest. */
export function sealPlan({ owner, steps, adoptions = [], releases = [], observation, leaving, guard, declared = [] }: Sealing): Plan {
  const touched = [...steps.map((step) => tableOf(step.operation)), ...adoptions.map(({ table }) => table), ...releases.map(({ table }) => table)].filter((name) => name !== undefined);
  const tables = observation.tables
    .filter((observed) => touched.some((name) => sameTable(name, observed.table)))
    .map((observed) => ({
      table: observed.table,
      oid: observed.oid,
      before: { rowSecurity: observed.rowSecurity, forced: observed.forced },
      declared: declared.find((target) => sameTable(target.table, observed.table))?.rowSecurity ?? ('' as const),
      observed: observed.digest,
    }))
    .sort((a, b) => (describeTable(a.table) < describeTable(b.table) ? -1 : 1));
  return withDigest({ owner, steps, adoptions, releases, tables, leaving, guard });
}

export function withDigest(plan: Omit<Plan, 'digest'>): Plan {
  const { owner, steps, adoptions, releases, tables, leaving } = plan;
  return { ...plan, digest: createHash('sha256').update(JSON.stringify({ owner, steps, adoptions, releases, tables, leaving })).digest('hex') };
}

export function tableOf(operation: Operation) {
  return operation.kind === 'CreateFunction' ? undefined : operation.table;
}

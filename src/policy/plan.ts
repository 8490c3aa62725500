// The plan: ordered steps from what is observed to what is desired, so that no prefix of them opens anything.
import { adoptable, changedOutside, requireNobodyElses, sameRoles, sameShape } from './adoption.ts';
import { blindness } from './blindness.ts';
import type { CompiledPolicy, CompiledState, CompiledTable } from './compiled.ts';
import { guardChange } from './guard.ts';
import { type Observation, type ObservedPolicy, type ObservedTable, observedOwner } from './observed.ts';
import { type Admitted, comesWithBirth, flagsWereApplied, wasApplied } from './mending.ts';
import { inFailClosedOrder, type PhasedStep, phases, sealPlan } from './plan-order.ts';
import type { Adoption, Plan, Release, Step } from './step.ts';
import { describeTable, sameTable } from './table-name.ts';
import { alterWidens, expressionsInForce } from './widening.ts';

/** Steps from observed to desired; none when the desired state is in force already. Tables that are not observed are skipped: compile refuses them. */
export function plan(desired: CompiledState, observation: Observation): Plan {
  const admitted = admittedTo(desired, observation);
  const steps = observation.tables.flatMap((observed) => {
    const table = desired.tables.find((candidate) => sameTable(candidate.table, observed.table));
    return table === undefined ? stepsForLeftTable(desired.owner, observed) : stepsForTable({ owner: desired.owner, admitted }, table, observed);
  });
  return sealPlan({ owner: desired.owner, steps: inFailClosedOrder(steps), adoptions: adoptionsOf(desired, observation), releases: givenUp(desired, observation), observation, leaving: false, guard: guardChange(desired.guard, observation.guard), declared: desired.tables });
}

function admittedTo({ tables }: CompiledState, observation: Observation): Admitted {
  const targeted = observation.tables.filter((observed) => tables.some(({ table }) => sameTable(table, observed.table)));
  const states = observation.admitted ?? [];
  return { states, first: states.length === 0 && targeted.every((table) => table.bornClosed === true || !binds(table)) };
}

function adoptionsOf({ owner, tables }: CompiledState, observation: Observation): readonly Adoption[] {
  return tables.flatMap(({ table, policies }) => {
    const observed = observation.tables.find((candidate) => sameTable(candidate.table, table))?.policies ?? [];
    const found = policies.filter((policy) => observed.some((other) => other.name === policy.name && !inForce(policy, other, owner) && adoptable(policy, other, owner)));
    return found.map((policy) => ({ table, policy }));
  });
}

/** Records of policies that are neither there nor declared any more: to bring one back later is no repair. */
function givenUp({ owner, tables }: CompiledState, observation: Observation): readonly Release[] {
  return observation.tables.filter(({ owned }) => owned).flatMap(({ table, applied, policies }) => {
    const declared = tables.find((candidate) => sameTable(candidate.table, table))?.policies ?? [];
    const gone = applied.filter(({ name, owner: other }) => other === owner && ![...declared, ...policies].some((policy) => policy.name === name));
    return gone.map(({ name }) => ({ table, name }));
  });
}

/** A step per policy that is dropped; adding rows is the widening of a dropped restrictive one. */
export function dropSteps(observed: ObservedTable, policies: readonly ObservedPolicy[], why: string): readonly PhasedStep[] {
  return policies.map((policy) => ({
    phase: policy.as === 'Permissive' ? phases.narrow : phases.loosen,
    step: {
      operation: { kind: 'DropPolicy', table: observed.table, name: policy.name },
      why,
      widening: policy.as === 'Restrictive' && binds(observed),
    },
  }));
}

/** A table that was taken out of the target: our policies go, its flags stay on, so that it ends closed. */
function stepsForLeftTable(owner: string, observed: ObservedTable): readonly PhasedStep[] {
  const ours = observed.policies.filter((policy) => observedOwner(policy) === owner);
  return dropSteps(observed, ours, `${describeTable(observed.table)} is no longer a target of ${owner}`);
}

interface Declaring {
  readonly owner: string;
  readonly admitted: Admitted;
}

function stepsForTable({ owner, admitted }: Declaring, table: CompiledTable, observed: ObservedTable): readonly PhasedStep[] {
  const declared = new Map(table.policies.map((policy) => [policy.name, policy]));
  const gone = observed.policies.filter((policy) => observedOwner(policy) === owner && !declared.has(policy.name));
  return [
    ...(flagsWereApplied(table, observed) ? mending(flagSteps(table, observed)) : flagSteps(table, observed)),
    ...dropSteps(observed, gone, `${owner} no longer declares it`),
    ...dropSteps(observed, unmanaged(table, observed), `no RowPolicy owns it, and ${owner} removes what is unmanaged`),
    ...table.policies.flatMap((policy) => {
      const steps = policySteps({ owner, policy, table: observed });
      if (comesWithBirth(policy, observed, admitted)) return steps.map(({ phase, step }) => ({ phase, step: { ...step, widening: false } }));
      return wasApplied(policy, observed, owner) ? mending(steps) : steps;
    }),
  ];
}

/** Policies of nobody: neither recorded, nor marked, nor named by a RowPolicy. */
function unmanaged({ policies, removesUnmanagedBut: spared }: CompiledTable, observed: ObservedTable): readonly ObservedPolicy[] {
  if (spared === undefined) return [];
  const named = new Set([...spared, ...policies.map((policy) => policy.name)]);
  return observed.policies.filter((policy) => observedOwner(policy) === undefined && !named.has(policy.name));
}

function mending(steps: readonly PhasedStep[]): readonly PhasedStep[] {
  return steps.map(({ phase, step }) => ({ phase, step: { ...step, mends: true } satisfies Step }));
}

function flagSteps(table: CompiledTable, observed: ObservedTable): readonly PhasedStep[] {
  const name = observed.table;
  const steps: PhasedStep[] = [];
  if (!observed.rowSecurity) {
    steps.push({ phase: phases.tighten, step: { operation: { kind: 'EnableRowSecurity', table: name }, why: `row security is off, so every policy is without effect${blindness(table, observed)}`, widening: false } });
  }
  if (table.rowSecurity === 'Forced' && !observed.forced) {
    steps.push({
      phase: phases.tighten,
      step: { operation: { kind: 'ForceRowSecurity', table: name }, why: `row security is declared Forced: it binds the owner ${observed.owner}, too${observed.rowSecurity ? blindness(table, observed) : ''}`, widening: false },
    });
  }
  if (table.rowSecurity === 'Enabled' && observed.forced) {
    steps.push({
      phase: phases.loosenFlags,
      step: { operation: { kind: 'NoForceRowSecurity', table: name }, why: `row security is declared Enabled: it does not bind the owner ${observed.owner}`, widening: binds(observed) },
    });
  }
  return steps;
}

interface PolicyChange {
  readonly owner: string;
  readonly policy: CompiledPolicy;
  readonly table: ObservedTable;
}

function policySteps({ owner, policy, table }: PolicyChange): readonly PhasedStep[] {
  // A name made from this owner and rule can only be ours, even where somebody took its comment and record away; a policyName may be anybody's.
  const observed = table.policies.find((candidate) => candidate.name === policy.name);
  if (observed === undefined) return [...functionSteps(policy), createStep(policy, table, `rule ${policy.rule} of ${owner} is not there yet`)];
  requireNobodyElses({ owner, table: table.table, policy }, observed);
  if (inForce(policy, observed, owner) || adoptable(policy, observed, owner)) return [];
  const why = changeReason(policy, observed, owner);
  if (!alterable(policy, observed)) return replaceSteps({ owner, policy, table }, observed, why);
  const widening = binds(table) && alterWidens(policy, observed, { owner, table });
  const phase = policy.as === 'Restrictive' ? phases.restrict : widening ? phases.widen : phases.narrow;
  return [...functionSteps(policy), { phase, step: { operation: { kind: 'AlterPolicy', table: table.table, policy }, why, widening } }];
}

/** Dropped and created again next to each other; a restrictive one before anything widens, a permissive one after everything narrowed. */
function replaceSteps({ owner, policy, table }: PolicyChange, observed: ObservedPolicy, why: string): readonly PhasedStep[] {
  const phase = policy.as === 'Restrictive' ? phases.restrict : observed.as === 'Restrictive' ? phases.loosen : phases.widen;
  const sameKind = policy.as === observed.as && policy.command === observed.command;
  const noWider = sameKind && !alterWidens(policy, observed, { owner, table });
  const pair = [...dropSteps(table, [observed], why), createStep(policy, table, why)];
  return [...functionSteps(policy), ...pair.map(({ step }) => ({ phase, step: noWider ? { ...step, widening: false } : step }))];
}

function createStep(policy: CompiledPolicy, table: ObservedTable, why: string): PhasedStep {
  return {
    phase: policy.as === 'Restrictive' ? phases.restrict : phases.widen,
    step: { operation: { kind: 'CreatePolicy', table: table.table, policy }, why, widening: policy.as === 'Permissive' && binds(table) },
  };
}

/**
 * While row security was never on, every role saw every row, so nothing that comes with switching it on can widen. Once it
 * was declared, that somebody switched it off must not let a wider rule in without being asked for.
 */
function binds({ rowSecurity, declared }: ObservedTable): boolean {
  return rowSecurity || declared !== '';
}

function functionSteps(policy: CompiledPolicy): readonly PhasedStep[] {
  return policy.functions.map((helper) => ({
    phase: phases.prepare,
    step: { operation: { kind: 'CreateFunction', function: helper }, why: `rule ${policy.rule} looks up membership in a governed table`, widening: false },
  }));
}

function inForce(policy: CompiledPolicy, observed: ObservedPolicy, owner: string): boolean {
  return sameShape(policy, observed) && expressionsInForce(policy, observed, owner) && observed.helpersAstray !== true && !changedOutside(observed, owner);
}

/** ALTER POLICY changes neither kind nor command, and can't take an expression away. */
function alterable(policy: CompiledPolicy, observed: ObservedPolicy): boolean {
  return (
    policy.as === observed.as &&
    policy.command === observed.command &&
    (policy.using === undefined) === (observed.using === undefined) &&
    (policy.check === undefined) === (observed.check === undefined)
  );
}

function changeReason(policy: CompiledPolicy, observed: ObservedPolicy, owner: string): string {
  const known = observed.record ?? observed.marker;
  if (known === undefined) return `it bears the name of rule ${policy.rule} of ${owner}, but is not as declared there`;
  if (known.definition !== policy.definition) return `rule ${policy.rule} of ${owner} was changed`;
  if (known.deparsed !== observed.deparsed) return 'its expression was changed in the database';
  if (!sameRoles(policy, observed)) return `its roles are not those of rule ${policy.rule} of ${owner}`;
  if (observed.helpersAstray === true) return 'the rights on a helper function that it calls were changed in the database';
  return 'its mark or its record is missing or was changed in the database';
}

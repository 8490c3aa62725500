// Plans for a RowPolicy that is being deleted: leave it, close the table, or bring back what was before (DESIGN §3, Deletion).
import { createHash } from 'node:crypto';
import type { CompiledPolicy } from './compiled.ts';
import { everyRole } from './desired.ts';
import { type Observation, type ObservedPolicy, type ObservedTable, observedOwner } from './observed.ts';
import { dropSteps } from './plan.ts';
import { inFailClosedOrder, type PhasedStep, phases, sealPlan } from './plan-order.ts';
import { closedPolicyName } from './policy-name.ts';
import { sameTable, type TableName } from './table-name.ts';
import type { Plan } from './step.ts';

export type DeletionPolicy = 'Retain' | 'FailClosed' | 'Restore';

/**
 * Steps that deleting the owner needs; none when they are done already. Tables that another RowPolicy declares keep their
 * flags even before it has put a policy there: or exchanging one object for another would open the table in between.
 */
export function planDeletion(owner: string, policy: DeletionPolicy, observation: Observation, governedByOthers: readonly TableName[] = []): Plan {
  const steps = observation.tables.flatMap((table) => {
    const declared = governedByOthers.some((name) => sameTable(name, table.table));
    return deletionSteps(owner, policy, { table, declared });
  });
  const releases = policy !== 'Restore' ? [] : observation.tables.flatMap((table) => table.policies.filter((each) => isAdopted(each, owner)).map(({ name }) => ({ table: table.table, name })));
  const guard = policy === 'Restore' && observation.guard?.known !== undefined ? ({ kind: 'Unguard' } as const) : undefined;
  return sealPlan({ owner, steps: inFailClosedOrder(steps), releases, observation, leaving: policy === 'Restore', guard });
}

/** What was there before and is still as it was found stays when that is brought back. */
function isAdopted({ record, deparsed }: ObservedPolicy, owner: string): boolean {
  return record?.adopted === true && record.owner === owner && record.deparsed === deparsed;
}

interface Leaving {
  readonly table: ObservedTable;
  /** Whether another RowPolicy declares it. */
  readonly declared: boolean;
}

function deletionSteps(owner: string, policy: DeletionPolicy, { table, declared }: Leaving): readonly PhasedStep[] {
  switch (policy) {
    case 'Retain':
      return [];
    case 'FailClosed':
      return closingSteps(owner, table);
    case 'Restore':
      return restoringSteps(owner, { table, declared });
  }
}

/** Without any permissive policy left, row security alone denies; else a restrictive `false` keeps our roles out for good. */
function closingSteps(owner: string, table: ObservedTable): readonly PhasedStep[] {
  const closedName = closedPolicyName(owner);
  const ours = table.policies.filter((policy) => observedOwner(policy) === owner && policy.name !== closedName);
  // What somebody took away or changed just before counts as well: whoever was held back by it is to be kept out.
  const applied = table.applied.filter((policy) => policy.owner === owner && policy.name !== closedName);
  if (ours.length === 0 && applied.length === 0) return [];
  const steps: PhasedStep[] = [];
  if (!table.rowSecurity) {
    steps.push({ phase: phases.tighten, step: { operation: { kind: 'EnableRowSecurity', table: table.table }, why: 'row security is off', widening: false } });
  }
  if (table.declared === 'Forced' && !table.forced) {
    steps.push({ phase: phases.tighten, step: { operation: { kind: 'ForceRowSecurity', table: table.table }, why: 'row security does not bind the owner, as it was declared to', widening: false } });
  }
  const othersAdmit = table.policies.some((policy) => policy.as === 'Permissive' && observedOwner(policy) !== owner);
  const closed = table.policies.find((policy) => policy.name === closedName);
  if (othersAdmit) {
    const roles = sortedRoles([...ours, ...applied, ...(closed === undefined ? [] : [closed])].flatMap((policy) => policy.roles ?? []));
    const operation = { kind: closed === undefined ? ('CreatePolicy' as const) : ('AlterPolicy' as const), table: table.table, policy: closedPolicy(closedName, roles) };
    steps.push({ phase: phases.restrict, step: { operation, why: `${owner} is being deleted with FailClosed, while other permissive policies remain`, widening: false } });
  }
  // Behind the closed door (or the default denial) none of our own drops can open anything.
  const drops = dropSteps(table, ours, `${owner} is being deleted with FailClosed`);
  return [...steps, ...drops.map(({ phase, step }) => ({ phase, step: { ...step, widening: false } }))];
}

/** Flags go back only when nobody else governs the table: they are the strictest of all. */
function restoringSteps(owner: string, { table, declared }: Leaving): readonly PhasedStep[] {
  const ours = table.policies.filter((policy) => observedOwner(policy) === owner);
  const made = ours.filter((policy) => !isAdopted(policy, owner));
  const steps = [...dropSteps(table, made, `${owner} is being deleted with Restore`)];
  const othersGovern = table.policies.some((policy) => ![undefined, owner].includes(observedOwner(policy)));
  const left = ours.length > 0 || table.applied.some((policy) => policy.owner === owner);
  if (!left || othersGovern || declared || table.before === undefined) return steps;
  const why = 'this is how the table was before Rowseal governed it';
  if (table.forced && !table.before.forced) {
    steps.push({ phase: phases.loosenFlags, step: { operation: { kind: 'NoForceRowSecurity', table: table.table }, why, widening: table.rowSecurity } });
  }
  if (table.rowSecurity && !table.before.rowSecurity) {
    steps.push({ phase: phases.loosenFlags, step: { operation: { kind: 'DisableRowSecurity', table: table.table }, why, widening: true } });
  }
  return steps;
}

function closedPolicy(name: string, roles: readonly string[]): CompiledPolicy {
  const definition = createHash('sha256').update('closed').digest('hex');
  return { name, rule: '', as: 'Restrictive', command: 'All', roles, using: 'false', check: 'false', functions: [], definition };
}

function sortedRoles(roles: readonly string[]): readonly string[] {
  return roles.includes(everyRole) ? [everyRole] : [...new Set(roles)].sort();
}

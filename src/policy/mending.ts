// Tells a repair from a change: a step that brings back what we applied ourselves was planned, approved and settled once already.
import { createHash } from 'node:crypto';
import type { CompiledPolicy, CompiledTable } from './compiled.ts';
import type { ObservedTable } from './observed.ts';

/** SHA-256, hex, over all that decides whom a policy admits to which rows. */
export function policyState({ as, command, roles, definition }: Pick<CompiledPolicy, 'as' | 'command' | 'roles' | 'definition'>): string {
  return createHash('sha256').update(JSON.stringify([as, command, roles, definition])).digest('hex');
}

/** Whether the policy is exactly what this owner had in force on the table before somebody else touched it. */
export function wasApplied(policy: CompiledPolicy, table: ObservedTable, owner: string): boolean {
  const state = policyState(policy);
  return table.applied.some((before) => before.name === policy.name && before.owner === owner && before.state === state);
}

export interface Admitted {
  /** States (`policyState`) of all that the owner has applied anywhere. */
  readonly states: readonly string[];
  /** Nothing was applied yet, and no older table is there on which the rules would have to wait. */
  readonly first: boolean;
}

/**
 * Whether the owner's policy may come to a table that the guard closed at birth as if row security had been off: it is in force
 * on other tables, so it was admitted, or these are the owner's first tables. A rule that waits for an approval, be it on
 * every other table, must not slip in with a new partition.
 */
export function comesWithBirth(policy: CompiledPolicy, table: ObservedTable, { states, first }: Admitted): boolean {
  return table.bornClosed === true && (first || states.includes(policyState(policy)));
}

/** Whether the table's row security was declared like this when we last applied it. */
export function flagsWereApplied(declared: Pick<CompiledTable, 'rowSecurity'>, table: ObservedTable): boolean {
  return table.declared === declared.rowSecurity;
}

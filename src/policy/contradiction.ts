// What two RowPolicies that share tables can't both have: each of them would undo the other for ever (DESIGN §3).
import type { RowPolicySpec } from '../model/kinds.ts';
import { describeTable, type TableName } from './table-name.ts';

/** Why both can't be in force, as a clause that names no owner; undefined when they can. `shared` are the tables that both govern. */
export function contradictionOf(one: RowPolicySpec, other: RowPolicySpec, shared: readonly TableName[]): string | undefined {
  const [table] = shared;
  if (table === undefined) return undefined;
  const name = namesOf(one).find((candidate) => namesOf(other).includes(candidate));
  if (name !== undefined) return `both declare the policy ${JSON.stringify(name)} on ${describeTable(table)}`;
  const wishes = [one.unmanagedPolicies, other.unmanagedPolicies];
  if (wishes.includes('Remove') && wishes.includes('Keep')) return `one removes the unmanaged policies of ${describeTable(table)} and the other keeps them`;
  return undefined;
}

/** Names of policies that a RowPolicy chose itself; all others hold its own name, so that nobody else can have them. */
export function namesOf({ rules }: RowPolicySpec): readonly string[] {
  return rules.map(({ policyName }) => policyName).filter((name) => name !== undefined);
}

// Roles that keep seeing all rows: a table is not closed before each of them has BYPASSRLS, or migrations and backups would stop unseen (DESIGN §3).
import { RowsealError } from '../model/errors.ts';
import { describeObject, type Resource, resolveRef } from '../model/kinds.ts';
import type { Desired } from '../policy/desired.ts';
import type { Observation } from '../policy/observed.ts';
import { describeTable, tableKey } from '../policy/table-name.ts';
import type { Cluster } from '../ports/cluster.ts';

type Policy = Resource<'RowPolicy'>;

export function exemptRolesOf(policy: Policy, cluster: Cluster): readonly string[] {
  return cluster.get('DatabaseConnection', resolveRef(policy.spec.databaseRef, policy.metadata))?.spec.exemptRoles ?? [];
}

/** Throws DatabasePrivilege naming the role that row security would bind. Tables that are closed already stay governed. */
export function requireExemptions(policy: Policy, cluster: Cluster, { desired, observation }: { readonly desired: Desired; readonly observation: Observation }): void {
  const bound = exemptRolesOf(policy, cluster).find((name) => !isExempt(name, observation));
  if (bound === undefined) return;
  const open = desired.tables.find(({ table, rowSecurity }) => {
    const observed = observation.tables.find((candidate) => tableKey(candidate.table) === tableKey(table));
    return observed !== undefined && (!observed.rowSecurity || (rowSecurity === 'Forced' && !observed.forced));
  });
  if (open === undefined) return;
  throw new RowsealError('DatabasePrivilege', `${describeTable(open.table)} is not closed, because the exempt role ${bound} would see no rows of it`, {
    object: `role ${bound}`,
    next: `run ALTER ROLE ${JSON.stringify(bound)} BYPASSRLS, or take the role off exemptRoles of ${describeObject('DatabaseConnection', resolveRef(policy.spec.databaseRef, policy.metadata))}`,
  });
}

export function isExempt(name: string, { roles }: Pick<Observation, 'roles'>): boolean {
  return roles.some((role) => role.name === name && (role.superuser || role.bypassesRowSecurity));
}

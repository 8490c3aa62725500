// Adoption: a policy that is in the database exactly as declared is only recorded; nothing is dropped, altered or recreated.
import { RowsealError } from '../model/errors.ts';
import type { CompiledPolicy } from './compiled.ts';
import { type ObservedPolicy, observedOwner } from './observed.ts';
import { describeTable, type TableName } from './table-name.ts';

/** Whether nobody else owns the policy and it says already, to the letter, what is declared. */
export function adoptable(policy: CompiledPolicy, observed: ObservedPolicy, owner: string): boolean {
  return [undefined, owner].includes(observedOwner(observed)) && !changedOutside(observed, owner) && sameShape(policy, observed) && sameText(policy, observed);
}

/** Whether somebody else changed a policy of the owner's since it was recorded: that the manifest says the same by now is no reason to take it for admitted. */
export function changedOutside({ record, deparsed, roles }: ObservedPolicy, owner: string): boolean {
  if (record === undefined || record.owner !== owner) return false;
  const known = record.roles ?? [];
  return record.deparsed !== deparsed || (known.length > 0 && !sameRoles({ roles: known }, { roles }));
}

export function sameShape(policy: CompiledPolicy, observed: ObservedPolicy): boolean {
  return policy.as === observed.as && policy.command === observed.command && sameRoles(policy, observed);
}

export function sameRoles(policy: Pick<CompiledPolicy, 'roles'>, observed: Pick<ObservedPolicy, 'roles'>): boolean {
  return policy.roles.length === observed.roles.length && policy.roles.every((role) => observed.roles.includes(role));
}

/** Whether every expression is declared as a text that equals the catalog's; the text of a compiled predicate is known only after PostgreSQL has read it. */
export function sameText({ using, check, declared }: CompiledPolicy, observed: ObservedPolicy): boolean {
  const same = (compiled: string | undefined, text: string | undefined, found: string | undefined) => (compiled === undefined ? found === undefined : text !== undefined && text.trim() === found?.trim());
  return same(using, declared?.using, observed.using) && same(check, declared?.check, observed.check);
}

interface Claimed {
  readonly owner: string;
  readonly table: TableName;
  readonly policy: CompiledPolicy;
}

/** Throws DatabaseConflict, naming the owner, where another RowPolicy has made or adopted the policy. */
export function requireNobodyElses({ owner, table, policy }: Claimed, observed: ObservedPolicy): void {
  const other = observedOwner(observed);
  if (other === undefined || other === owner) return;
  throw new RowsealError('DatabaseConflict', `policy ${JSON.stringify(policy.name)} of ${describeTable(table)}, which rule ${policy.rule} names, belongs to RowPolicy ${other}`, {
    object: `RowPolicy ${owner}`,
    next: `take it out of one of the two; if ${other} was deleted and left its policies, delete its rows from rowseal.governed_policy and its comments`,
    retryable: true,
  });
}

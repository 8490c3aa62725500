// Desired state and observation moved onto copies: tables that were copied are read from there, all others stay what they are.
import type { Desired, DesiredPolicy } from '../../policy/desired.ts';
import type { Observation, ObservedTable } from '../../policy/observed.ts';
import { mapMemberships, type Predicate } from '../../policy/predicate.ts';
import { sameTable, type TableName } from '../../policy/table-name.ts';
import { quoteLiteral } from './quote.ts';
import { retargetSql } from './retarget-sql.ts';
import { testedSetting } from './tested-claims.ts';

/** Copies are temporary tables, which keep their names, so of two tables with one name only one can be copied (ADR 0008). */
export const scratchSchema = 'pg_temp';

export interface Retargeted {
  readonly desired: Desired;
  readonly observation: Observation;
}

export async function retarget(desired: Desired, observation: Observation, copied: readonly ObservedTable[]): Promise<Retargeted> {
  const move = moveTo(copied);
  const tables = [];
  for (const table of desired.tables) tables.push({ ...table, table: move(table.table), policies: await Promise.all(table.policies.map((policy) => movePolicy(policy, copied))) });
  return {
    desired: { ...desired, governed: desired.governed.map(move), tables },
    observation: { ...observation, bypassesRowSecurity: true, tables: observation.tables.map((table) => (isCopied(copied, table.table) ? onCopy(table) : table)) },
  };
}

/** The same columns under the copy's name; it belongs to the probe. */
export function onCopy(table: ObservedTable): ObservedTable {
  return { ...table, table: { schema: scratchSchema, table: table.table.table }, owned: true };
}

/** An expression as text, whoever wrote it, reading the copies. */
export function retargetText(text: string, copied: readonly ObservedTable[]): Promise<string> {
  const claims = `(nullif(current_setting(${quoteLiteral(testedSetting)}, true), '')::jsonb)`;
  return retargetSql(text, { schemaFor: (name) => (isCopied(copied, name) ? scratchSchema : undefined), claims });
}

/** What was kept to the letter names the real tables; on copies its terms are compiled instead. */
async function movePolicy({ using, check, verbatim: _kept, ...rest }: DesiredPolicy, copied: readonly ObservedTable[]): Promise<DesiredPolicy> {
  return {
    ...rest,
    ...(using === undefined ? {} : { using: await movePredicate(using, copied) }),
    ...(check === undefined ? {} : { check: await movePredicate(check, copied) }),
  };
}

async function movePredicate(predicate: Predicate, copied: readonly ObservedTable[]): Promise<Predicate> {
  if (predicate.kind === 'sql') return { kind: 'sql', text: await retargetText(predicate.text, copied) };
  const move = moveTo(copied);
  return mapMemberships(predicate, (member) => ({ ...member, table: move(member.table) }));
}

function moveTo(copied: readonly ObservedTable[]): (name: TableName) => TableName {
  return (name) => (isCopied(copied, name) ? { schema: scratchSchema, table: name.table } : name);
}

function isCopied(copied: readonly ObservedTable[], name: TableName): boolean {
  return copied.some((table) => sameTable(table.table, name));
}

// Reads the catalog into observed state. Evaluates nothing of the user's.
import { RowsealError } from '../../model/errors.ts';
import type { Command } from '../../policy/desired.ts';
import type { GuardedTarget } from '../../policy/guard.ts';
import { parseMarker } from '../../policy/marker.ts';
import type { Observation, ObservedColumn, ObservedElement, ObservedFunction, ObservedPolicy, ObservedTable, PolicyRecord } from '../../policy/observed.ts';
import type { ObservationRequest } from '../../ports/policy-database.ts';
import { statementError } from './database-error.ts';
import { calledFunctions } from './function-catalog.ts';
import { observeParameters, observeSql } from './observe-sql.ts';
import { prepareParser } from './recognise-node.ts';
import type { RunQuery } from './session.ts';

/** The observation of the tables and roles asked for; what is missing is simply not in it. Works where nothing of ours is installed. */
export async function observe(query: RunQuery, request: ObservationRequest): Promise<Observation> {
  try {
    const [installed] = await query<{ records: boolean; digest_function: boolean; guard: boolean }>(
      `select to_regclass('rowseal.governed_policy') is not null and to_regclass('rowseal.policy_owner') is not null as records,
              to_regprocedure('rowseal.policy_digest(oid)') is not null as digest_function, to_regclass('rowseal.guarded') is not null as guard`,
    );
    const [row] = await query<{ observation: ObservationRow }>(
      observeSql({ records: installed?.records === true, digestFunction: installed?.digest_function === true, guard: installed?.guard === true }),
      observeParameters(request),
    );
    if (row === undefined) throw new RowsealError('DatabaseStatement', 'the catalog query returned no row');
    const { guard, tables, ...rest } = row.observation;
    const observed = tables.map(tableOf);
    const functions = request.texts === undefined || request.texts.length === 0 ? {} : { functions: await functionsIn(query, observed, request.texts) };
    return { ...rest, tables: observed, guard: { active: guard.active, ...(guard.known === null ? {} : { known: guard.known }) }, ...functions };
  } catch (error) {
    throw statementError(error, 'reading the catalog', 'system catalog');
  }
}

/** Functions of the texts, and of the policies on the tables that they may look up: what those show is part of what a lookup finds. */
async function functionsIn(query: RunQuery, tables: readonly ObservedTable[], texts: readonly string[]): Promise<readonly ObservedFunction[]> {
  await prepareParser();
  const policies = tables.flatMap((table) => table.policies.flatMap(({ using, check }) => [using, check])).filter((text) => text !== undefined);
  return calledFunctions(query, [...texts, ...policies]);
}

interface PolicyRow {
  readonly name: string;
  readonly permissive: boolean;
  readonly command: string;
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
  readonly deparsed: string;
  readonly comment: string | null;
  readonly record: PolicyRecord | null;
  readonly helpersAstray: boolean;
}

interface ColumnRow {
  readonly name: string;
  readonly typeSchema: string;
  readonly typeName: string;
  readonly declaredType: string;
  readonly operatorSchema: string;
  readonly softInput: boolean;
  readonly category: string;
  readonly element: ObservedElement | null;
  readonly collation: string | null;
}

interface TableRow extends Omit<ObservedTable, 'table' | 'oid' | 'columns' | 'policies' | 'before'> {
  /** JSON has no oid; PostgreSQL writes it as a string. */
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  readonly before: NonNullable<ObservedTable['before']> | null;
  readonly columns: readonly ColumnRow[];
  readonly policies: readonly PolicyRow[];
}

interface ObservationRow extends Omit<Observation, 'tables' | 'guard'> {
  readonly tables: readonly TableRow[];
  readonly guard: { readonly active: boolean; readonly known: GuardedTarget | null };
}

const commands: Readonly<Record<string, Command>> = { '*': 'All', r: 'Select', a: 'Insert', w: 'Update', d: 'Delete' };

function tableOf({ schema, table, oid, before, columns, policies, ...rest }: TableRow): ObservedTable {
  return {
    ...rest,
    oid: Number(oid),
    table: { schema, table },
    ...(before === null ? {} : { before }),
    columns: columns.map(columnOf),
    policies: policies.map(policyOf),
  };
}

function columnOf({ typeSchema, typeName, element, collation, ...column }: ColumnRow): ObservedColumn {
  return { ...column, baseType: { schema: typeSchema, name: typeName }, ...(element === null ? {} : { element }), ...(collation === null ? {} : { collation }) };
}

function policyOf(row: PolicyRow): ObservedPolicy {
  const marker = parseMarker(row.comment ?? undefined);
  return {
    name: row.name,
    as: row.permissive ? 'Permissive' : 'Restrictive',
    command: commands[row.command] ?? 'All',
    roles: [...row.roles].sort(),
    ...(row.using === null ? {} : { using: row.using }),
    ...(row.check === null ? {} : { check: row.check }),
    deparsed: row.deparsed,
    ...(marker === undefined ? {} : { marker }),
    ...(row.record === null ? {} : { record: recordOf(row.record) }),
    ...(row.helpersAstray ? { helpersAstray: true } : {}),
  };
}

function recordOf({ owner, rule, definition, deparsed, roles, tree, adopted }: PolicyRecord): PolicyRecord {
  return { owner, rule, definition, deparsed, roles: roles ?? [], tree, adopted: adopted === true };
}

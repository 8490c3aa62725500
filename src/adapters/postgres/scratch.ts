// Empty copies of the governed tables in a scratch schema, filled with a test's fixture and put under the desired policies.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { type Desired, membershipTables } from '../../policy/desired.ts';
import type { Observation, ObservedTable } from '../../policy/observed.ts';
import { tableKey, type TableName } from '../../policy/table-name.ts';
import type { PolicyTest, TestRequest } from '../../ports/policy-database.ts';
import { compileDesired, retarget } from './compile.ts';
import { expectedTable, textOf, UnusableTest } from './expectation.ts';
import { quoteName, quoteTable } from './quote.ts';
import { createPolicySql, functionSql } from './render.ts';
import type { RunQuery } from './run-query.ts';

export interface Scratch {
  readonly schema: string;
  /** The copies, named as the originals. */
  readonly tables: readonly ObservedTable[];
}

export interface ScratchOptions {
  readonly request: TestRequest;
  readonly test: PolicyTest;
  readonly schema: string;
  readonly claims: ClaimsConfiguration;
}

/** Inside a transaction that is rolled back: if we die here, the server rolls back, and nothing was ever there. */
export async function buildScratch(query: RunQuery, { request, test, schema, claims }: ScratchOptions): Promise<Scratch> {
  const part = testedPart(request, test);
  const { desired, observation } = retarget(part.desired, ownFirst(part.observation, request.schema), schema);
  await query(`create schema ${quoteName(schema)}`);
  for (const table of observation.tables) await query(createTableSql(table));
  await insertFixture(query, observation.tables, test);
  await enforce(query, compileDesired(desired, observation, { claims, helperSchema: schema }));
  // Inherited or granted rights on the originals don't reach copies; what is tested is which rows, not which tables.
  await query(`grant usage on schema ${quoteName(schema)} to ${quoteName(test.as.role)}`);
  await query(`grant select, insert, update, delete on all tables in schema ${quoteName(schema)} to ${quoteName(test.as.role)}`);
  return { schema, tables: observation.tables };
}

/** What the test names and what memberships read: a selector or partitions may bring thousands of tables that no test looks at. */
function testedPart({ desired, observation, schema }: TestRequest, { expect, fixture }: PolicyTest): { desired: Desired; observation: Observation } {
  const named = [expectedTable(expect), ...Object.keys(fixture ?? {})].map((table) => ({ schema, table }));
  const wanted = new Set([...named, ...membershipTables(desired)].map(tableKey));
  const isWanted = ({ table }: { readonly table: TableName }) => wanted.has(tableKey(table));
  return { desired: { ...desired, tables: desired.tables.filter(isWanted) }, observation: { ...observation, tables: observation.tables.filter(isWanted) } };
}

/** One schema holds all copies, so of two tables with one name the target schema's is copied. */
function ownFirst(observation: Observation, schema: string): Observation {
  const sorted = [...observation.tables].sort((a, b) => Number(b.table.schema === schema) - Number(a.table.schema === schema));
  return { ...observation, tables: sorted.filter((table, index) => sorted.findIndex((other) => other.table.table === table.table.table) === index) };
}

/** No constraints and no defaults: a fixture writes only the columns that matter to it. */
function createTableSql(table: ObservedTable): string {
  const columns = table.columns.map((column) => `${quoteName(column.name)} ${column.declaredType}`);
  return `create table ${quoteTable(table.table)} (${columns.join(', ')})`;
}

async function insertFixture(query: RunQuery, tables: readonly ObservedTable[], test: PolicyTest): Promise<void> {
  for (const [name, rows] of Object.entries(test.fixture ?? {})) {
    const table = copyNamed(tables, name);
    for (const row of rows) await insertRow(query, table, row);
  }
}

/** Values travel as parameters, so whatever they hold is data. */
export async function insertRow(query: RunQuery, table: ObservedTable, row: Readonly<Record<string, string | number | null>>): Promise<void> {
  const names = Object.keys(row);
  const missing = names.find((name) => !table.columns.some((column) => column.name === name));
  if (missing !== undefined) throw new UnusableTest(`column ${JSON.stringify(missing)} of table ${table.table.table} does not exist`);
  const into = `insert into ${quoteTable(table.table)}`;
  if (names.length === 0) await query(`${into} default values`);
  else await query(`${into} (${names.map(quoteName).join(', ')}) values (${names.map((_name, index) => `$${index + 1}`).join(', ')})`, names.map((name) => textOf(row[name])));
}

export function copyNamed(tables: readonly ObservedTable[], name: string): ObservedTable {
  const table = tables.find((candidate) => candidate.table.table === name);
  if (table === undefined) throw new UnusableTest(`table ${JSON.stringify(name)} is neither a target of this policy nor read by it`);
  return table;
}

/** ENABLE without FORCE: the copies belong to the probe, which never reads them as itself, while membership helpers must. */
async function enforce(query: RunQuery, compiled: ReturnType<typeof compileDesired>): Promise<void> {
  const functions = new Map(compiled.tables.flatMap((table) => table.policies.flatMap((policy) => policy.functions)).map((helper) => [helper.name, helper]));
  for (const helper of functions.values()) await query(functionSql(helper));
  for (const table of compiled.tables) {
    await query(`alter table ${quoteTable(table.table)} enable row level security`);
    for (const policy of table.policies) await query(createPolicySql(policy, table.table));
  }
}


// A test's fixture: the tables it needs as empty copies, filled with its rows and put under the desired policies.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import type { Observation, ObservedTable } from '../../policy/observed.ts';
import { type Desired, membershipTables } from '../../policy/desired.ts';
import { sameTable, tableKey, type TableName } from '../../policy/table-name.ts';
import type { PolicyTest, TestRequest } from '../../ports/policy-database.ts';
import { compileDesired } from './compile.ts';
import { expectedTable, type Row, textOf, UnusableTest } from './expectation.ts';
import { observe } from './observe.ts';
import { quoteName, quoteTable } from './quote.ts';
import { retarget, scratchSchema } from './retarget.ts';
import { tablesOfSql } from './retarget-sql.ts';
import type { RunQuery } from './run-query.ts';
import { createCopies, enforceOnCopies, grantOnCopy } from './scratch.ts';
import { claimsOnCopies } from './tested-claims.ts';

/** The request with every table observed that a `sql` predicate reads, too: each becomes a copy, empty unless the fixture fills it. */
export async function withSqlTables(request: TestRequest, query: RunQuery): Promise<TestRequest> {
  const missing = (await sqlTables(request.desired)).filter((name) => !request.observation.tables.some(({ table }) => sameTable(table, name)));
  if (missing.length === 0) return request;
  const more = await observe(query, { owner: request.desired.owner, tables: missing, roles: [] });
  const added = more.tables.filter(({ table }) => missing.some((name) => sameTable(name, table)));
  return { ...request, observation: { ...request.observation, tables: [...request.observation.tables, ...added] } };
}

/** Inside a transaction that is rolled back: if we die here, the server rolls back, and nothing was ever there. Returns the copies. */
export async function buildFixture(query: RunQuery, request: TestRequest, { test, claims }: { readonly test: PolicyTest; readonly claims: ClaimsConfiguration }): Promise<readonly ObservedTable[]> {
  const part = await testedPart(request, test);
  const copied = ownFirst(part.observation, request.schema);
  const { desired, observation } = await retarget(part.desired, { ...part.observation, tables: copied }, copied);
  await createCopies(query, observation.tables);
  await insertFixture(query, observation.tables, test);
  const compiled = compileDesired(desired, observation, { claims: claimsOnCopies(claims), helperSchema: scratchSchema });
  await enforceOnCopies(query, compiled.tables.map(({ table, policies }) => ({ table, policies, rowSecurity: true, functions: policies.flatMap((policy) => policy.functions) })));
  // What is tested is which rows, not which tables.
  for (const { table } of observation.tables) await grantOnCopy(query, table, { rights: 'select, insert, update, delete', roles: [test.as.role] });
  return observation.tables;
}

/** What the test names and what policies look up: a selector or partitions may bring thousands of tables that no test looks at. */
async function testedPart({ desired, observation, schema }: TestRequest, { expect, fixture }: PolicyTest): Promise<{ desired: Desired; observation: Observation }> {
  const named = [expectedTable(expect), ...Object.keys(fixture ?? {})].map((table) => ({ schema, table }));
  const wanted = new Set([...named, ...membershipTables(desired), ...(await sqlTables(desired))].map(tableKey));
  const isWanted = ({ table }: { readonly table: TableName }) => wanted.has(tableKey(table));
  return { desired: { ...desired, tables: desired.tables.filter(isWanted) }, observation: { ...observation, tables: observation.tables.filter(isWanted) } };
}

/** Of two tables with one name the target schema's is copied. */
function ownFirst(observation: Observation, schema: string): readonly ObservedTable[] {
  const sorted = [...observation.tables].sort((a, b) => Number(b.table.schema === schema) - Number(a.table.schema === schema));
  return sorted.filter((table, index) => sorted.findIndex((other) => other.table.table === table.table.table) === index);
}

/** Values travel as parameters, so whatever they hold is data. */
export async function insertRow(query: RunQuery, table: ObservedTable, row: Row): Promise<void> {
  const names = Object.keys(row);
  requireColumns(table, names);
  const into = `insert into ${quoteTable(table.table)}`;
  if (names.length === 0) await query(`${into} default values`);
  else await query(`${into} (${names.map(quoteName).join(', ')}) values (${names.map((_name, index) => `$${index + 1}`).join(', ')})`, names.map((name) => textOf(row[name])));
}

export function requireColumns(table: ObservedTable, names: readonly string[]): void {
  const missing = names.find((name) => !table.columns.some((column) => column.name === name));
  if (missing !== undefined) throw new UnusableTest(`column ${JSON.stringify(missing)} of table ${table.table.table} does not exist`);
}

export function copyNamed(tables: readonly ObservedTable[], name: string): ObservedTable {
  const table = tables.find((candidate) => candidate.table.table === name);
  if (table === undefined) throw new UnusableTest(`table ${JSON.stringify(name)} is neither a target of this policy nor read by it`);
  return table;
}

async function insertFixture(query: RunQuery, tables: readonly ObservedTable[], test: PolicyTest): Promise<void> {
  for (const [name, rows] of Object.entries(test.fixture ?? {})) {
    const table = copyNamed(tables, name);
    for (const row of rows) await insertRow(query, table, row);
  }
}

async function sqlTables(desired: Desired): Promise<readonly TableName[]> {
  const predicates = desired.tables.flatMap((table) => table.policies).flatMap(({ using, check }) => [using, check]);
  const texts = new Set(predicates.flatMap((predicate) => (predicate?.kind === 'sql' ? [predicate.text] : [])));
  const named = await Promise.all([...texts].map(tablesOfSql));
  return named.flat().filter(({ schema }) => !isSystem(schema));
}

function isSystem(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema';
}

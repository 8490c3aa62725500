// Whether what a tested role sees is what its test expects; messages count rows and never show one.
import type { ObservedColumn, ObservedTable } from '../../policy/observed.ts';
import type { PolicyTest } from '../../ports/policy-database.ts';
import { typeSql } from './sql-type.ts';
import { quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';

export type Row = Readonly<Record<string, string | number | null>>;
type TextRow = Readonly<Record<string, string | null>>;

/** More rows than any expectation can hold; a test on a large table must not bring it home. */
const mostRows = 1000;

/** Values as parameters take them: text or null. */
export function textOf(value: string | number | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

/** The expected rows as the server itself writes them, so that `1.0` and `01` meet what a query returns. Before SET ROLE. */
export async function canonicalRows(query: RunQuery, table: ObservedTable, rows: readonly Row[]): Promise<readonly TextRow[]> {
  const canonical: TextRow[] = [];
  for (const row of rows) {
    const names = Object.keys(row);
    const list = names.map((name, index) => {
      const column = columnNamed(table, name);
      return `${comparableSql(`$${index + 1}::${typeSql(column.baseType)}`, column)} as ${quoteName(name)}`;
    });
    const [answer] = names.length === 0 ? [{}] : await query<TextRow>(`select ${list.join(', ')}`, names.map((name) => textOf(row[name])));
    canonical.push(answer ?? {});
  }
  return canonical;
}

/** As the tested role: undefined when exactly the expected rows are visible, else why not. */
export async function compareVisible(query: RunQuery, table: ObservedTable, expected: readonly TextRow[]): Promise<string | undefined> {
  const columns = [...new Set(expected.flatMap((row) => Object.keys(row)))];
  const list = columns.map((name) => `${comparableSql(quoteName(name), columnNamed(table, name))} as ${quoteName(name)}`);
  const visible = await query<TextRow>(`select ${list.length === 0 ? 'true as row' : list.join(', ')} from ${quoteTable(table.table)} limit ${mostRows}`);
  if (visible.length !== expected.length) return `expected ${expected.length} rows, ${visible.length === mostRows ? `${mostRows} or more` : visible.length} are visible`;
  const unmatched = expected.length - matchedCount(expected, visible);
  return unmatched === 0 ? undefined : `${unmatched} of the ${expected.length} expected rows are not visible, others are`;
}

/** As the tested role: undefined when so many rows are visible, else why not. */
export async function compareCount(query: RunQuery, table: ObservedTable, expected: number): Promise<string | undefined> {
  const [row] = await query<{ count: string }>(`select count(*)::text as count from ${quoteTable(table.table)}`);
  return Number(row?.count) === expected ? undefined : `expected ${expected} rows, ${row?.count} are visible`;
}

/** The table an expectation is about. */
export function expectedTable(expect: PolicyTest['expect']): string {
  return expect.table ?? expect.denied?.table ?? '';
}

export function columnNamed(table: ObservedTable, name: string): ObservedColumn {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw new UnusableTest(`column ${JSON.stringify(name)} of table ${table.table.table} does not exist`);
  return column;
}

const longestComparedBytes = 256;

/** A value's text form. Only numeric keeps zeros that its modifier added; a cast to the modifier itself would cut or round. */
function textSql(value: string, { baseType }: ObservedColumn): string {
  const numeric = baseType.schema === 'pg_catalog' && baseType.name === 'numeric';
  return numeric ? `trim_scale(${value})::text` : `(${value})::text`;
}

/** What is compared: a long value by its digest, so that a test on a table of large values does not bring them home. */
export function comparableSql(value: string, column: ObservedColumn): string {
  const text = textSql(value, column);
  return `case when octet_length(${text}) > ${longestComparedBytes} then 'sha256:' || encode(sha256(convert_to(${text}, 'UTF8')), 'hex') else ${text} end`;
}

/** A test that cannot be run as it is written; its message stands in the outcome. */
export class UnusableTest extends Error {}

/** How many expected rows can be paired with different visible ones; rows may write different columns, so one may fit several. */
function matchedCount(expected: readonly TextRow[], visible: readonly TextRow[]): number {
  const takenBy = new Map<number, number>();
  const place = (row: number, tried: Set<number>): boolean =>
    visible.some((candidate, index) => {
      if (tried.has(index) || !fits(expected[row] ?? {}, candidate)) return false;
      tried.add(index);
      const holder = takenBy.get(index);
      if (holder !== undefined && !place(holder, tried)) return false;
      takenBy.set(index, row);
      return true;
    });
  return expected.filter((_row, index) => place(index, new Set())).length;
}

function fits(expected: TextRow, visible: TextRow): boolean {
  return Object.entries(expected).every(([name, value]) => visible[name] === value);
}

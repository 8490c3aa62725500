// Table names inside an SQL expression, replaced where they stand: what remains is the author's text, byte for byte.
import { parse, scan } from 'libpg-query';
import type { TableName } from '../../policy/table-name.ts';
import { quoteName } from './quote.ts';

type Node = Readonly<Record<string, unknown>>;

interface Place {
  readonly name: TableName;
  /** Byte offset of the schema's name. */
  readonly at: number;
}

const before = 'SELECT (\n';

/** The expression with each table for which `schemaFor` gives a schema read from there. What the grammar refuses is left as it is: the server refuses it, too. */
export async function retargetSql(text: string, schemaFor: (name: TableName) => string | undefined): Promise<string> {
  const places = (await tablePlaces(text)).filter(({ name }) => schemaFor(name) !== undefined);
  if (places.length === 0) return text;
  const statement = Buffer.from(`${before}${text}\n)`);
  const { tokens } = await scan(statement.toString());
  const pieces: Buffer[] = [];
  let done = Buffer.byteLength(before);
  for (const { name, at } of places.sort((a, b) => a.at - b.at)) {
    const token = tokens.find(({ start }) => start === at);
    if (token === undefined) continue;
    pieces.push(statement.subarray(done, at), Buffer.from(quoteName(schemaFor(name) ?? name.schema)));
    done = token.end;
  }
  pieces.push(statement.subarray(done, statement.length - 2));
  return Buffer.concat(pieces).toString();
}

/** The tables an expression names with their schema, each once. */
export async function tablesOfSql(text: string): Promise<readonly TableName[]> {
  const found = new Map<string, TableName>();
  for (const { name } of await tablePlaces(text)) found.set(JSON.stringify(name), { schema: name.schema, table: name.table });
  return [...found.values()];
}

async function tablePlaces(text: string): Promise<readonly Place[]> {
  const places: Place[] = [];
  const tree: unknown = await parse(`${before}${text}\n)`).catch(() => undefined);
  collect(tree, places);
  return places;
}

/** In FROM, and where a column is written with schema and table. */
function collect(value: unknown, places: Place[]): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    const node = (typeof child === 'object' && child !== null ? child : {}) as Node;
    const at = Number(node['location'] ?? 0);
    if (key === 'RangeVar' && typeof node['schemaname'] === 'string' && node['catalogname'] === undefined) {
      places.push({ name: { schema: node['schemaname'], table: String(node['relname']) }, at });
    }
    if (key === 'ColumnRef' && Array.isArray(node['fields']) && node['fields'].length === 3) {
      const [schema, table] = node['fields'].map((field) => (field as { String?: { sval?: string } }).String?.sval);
      if (schema !== undefined && table !== undefined) places.push({ name: { schema, table }, at });
    }
    collect(child, places);
  }
}

// Table names inside an SQL expression, replaced where they stand: what remains is the author's text, byte for byte.
import { parse, scan, type ScanToken } from 'libpg-query';
import type { TableName } from '../../policy/table-name.ts';
import { quoteName } from './quote.ts';

type Node = Readonly<Record<string, unknown>>;

interface TablePlace {
  readonly name: TableName;
  /** Byte offset of the schema's name. */
  readonly at: number;
}

interface Places {
  readonly tables: readonly TablePlace[];
  /** Byte offsets of calls of `rowseal.signed_claims`. */
  readonly claims: readonly number[];
  /** Byte offsets of `session_user`. */
  readonly sessionUsers: readonly number[];
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

const before = 'SELECT (\n';

export interface Retargeting {
  readonly schemaFor: (name: TableName) => string | undefined;
  /** Stands where the expression asks for signed claims. */
  readonly claims: string;
}

/** The expression reading other tables. What the grammar refuses is left as it is: the server refuses it, too. */
export async function retargetSql(text: string, { schemaFor, claims }: Retargeting): Promise<string> {
  const places = await placesIn(text);
  const statement = Buffer.from(`${before}${text}\n)`);
  const { tokens } = await scan(statement.toString()).catch(() => ({ tokens: [] as readonly ScanToken[] }));
  const tables = places.tables.flatMap(({ name, at }) => {
    const schema = schemaFor(name);
    const token = tokens.find(({ start }) => start === at);
    return schema === undefined || token === undefined ? [] : [{ from: at, to: token.end, text: quoteName(schema) }];
  });
  const calls = places.claims.map((at) => ({ from: at, to: endOfCall(tokens, at), text: claims }));
  // On copies the session is the probe's, and stands for one that logged in as the role.
  const users = places.sessionUsers.map((at) => ({ from: at, to: tokens.find(({ start }) => start === at)?.end ?? at, text: 'current_user' }));
  return edited(statement, [...tables, ...calls, ...users]).subarray(Buffer.byteLength(before)).toString().slice(0, -2);
}

function edited(statement: Buffer, edits: readonly Edit[]): Buffer {
  const pieces: Buffer[] = [];
  let done = 0;
  for (const { from, to, text } of [...edits].sort((a, b) => a.from - b.from)) {
    pieces.push(statement.subarray(done, from), Buffer.from(text));
    done = to;
  }
  return Buffer.concat([...pieces, statement.subarray(done)]);
}

/** Where the parenthesis is closed that the call at this place opens. */
function endOfCall(tokens: readonly ScanToken[], at: number): number {
  let depth = 0;
  for (const { start, end, text } of tokens) {
    if (start < at) continue;
    if (text === '(') depth += 1;
    if (text === ')' && (depth -= 1) === 0) return end;
  }
  return at;
}

/** The tables an expression names with their schema, each once. */
export async function tablesOfSql(text: string): Promise<readonly TableName[]> {
  const found = new Map<string, TableName>();
  for (const { name } of (await placesIn(text)).tables) found.set(JSON.stringify(name), { schema: name.schema, table: name.table });
  return [...found.values()];
}

async function placesIn(text: string): Promise<Places> {
  const places = { tables: [], claims: [], sessionUsers: [] };
  const tree: unknown = await parse(`${before}${text}\n)`).catch(() => undefined);
  collect(tree, places);
  return places;
}

/** Tables in FROM, and where a column is written with schema and table. */
function collect(value: unknown, places: { readonly tables: TablePlace[]; readonly claims: number[]; readonly sessionUsers: number[] }): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    const node = (typeof child === 'object' && child !== null ? child : {}) as Node;
    const at = Number(node['location'] ?? 0);
    if (key === 'RangeVar' && typeof node['schemaname'] === 'string' && node['catalogname'] === undefined) {
      places.tables.push({ name: { schema: node['schemaname'], table: String(node['relname']) }, at });
    }
    if (key === 'ColumnRef') {
      const [schema, table, column] = wordsOf(node['fields']);
      if (schema !== undefined && table !== undefined && column !== undefined) places.tables.push({ name: { schema, table }, at });
    }
    if (key === 'SQLValueFunction' && node['op'] === 'SVFOP_SESSION_USER') places.sessionUsers.push(at);
    if (key === 'FuncCall' && wordsOf(node['funcname']).join('.') === 'rowseal.signed_claims') places.claims.push(at);
    collect(child, places);
  }
}

function wordsOf(value: unknown): readonly (string | undefined)[] {
  return Array.isArray(value) ? value.map((word) => (word as { String?: { sval?: string } }).String?.sval) : [];
}

// PostgreSQL's parse nodes for the recogniser: reading a text into them, and the few questions that are asked of them.
import { loadModule, parseSync } from 'libpg-query';

export type Node = Readonly<Record<string, unknown>>;

/** Why a text is not recognised; it ends the attempt and is no failure of anything. */
export class Unrecognised extends Error {}

/** The parser is WebAssembly: once this has resolved, texts are read synchronously. */
export async function prepareParser(): Promise<void> {
  await loadModule();
}

/** The node of one expression. Throws Unrecognised. */
export function expressionNode(text: string): Node {
  const select = selectNode(`SELECT (\n${text}\n)`);
  const [target, ...more] = list(select['targetList']);
  if (more.length > 0 || ['fromClause', 'whereClause'].some((part) => part in select)) throw new Unrecognised('it is more than an expression');
  return record(record(target?.['ResTarget'])['val']);
}

/** The body of one SELECT. Throws Unrecognised. */
export function selectNode(text: string): Node {
  const statements = list(record(parsed(text))['stmts']);
  const select = record(statements[0]?.['stmt'])['SelectStmt'];
  if (statements.length !== 1 || select === undefined) throw new Unrecognised('it is not one SELECT');
  return record(select);
}

function parsed(text: string): unknown {
  try {
    return parseSync(text);
  } catch {
    throw new Unrecognised('it is not read by the grammar');
  }
}

/** A node's kind, and what is inside it. */
export function opened(node: Node): { readonly tag: string; readonly inner: Node } {
  const [tag = ''] = Object.keys(node);
  return { tag, inner: record(node[tag]) };
}

export function names(value: unknown): readonly string[] {
  return list(value).map((item) => {
    const text = record(item['String'])['sval'];
    return typeof text === 'string' ? text : '*';
  });
}

/** The name of a function or operator without pg_catalog, where everything built in is; `schema.name` for all else. */
export function plainName(value: unknown): string {
  const path = names(value);
  return path[0] === 'pg_catalog' ? path.slice(1).join('.') : path.join('.');
}

/** A field that holds a name or an enum's value; empty where it is absent. */
export function word(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

export function list(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.map(record) : [];
}

export function record(value: unknown): Node {
  return typeof value === 'object' && value !== null ? (value as Node) : {};
}

const positions = new Set(['location', 'rexpr_list_start', 'rexpr_list_end', 'list_start', 'list_end']);

/** Whether two nodes are written alike, wherever they stand. */
export function sameText(a: unknown, b: unknown): boolean {
  const written = (node: unknown) => JSON.stringify(node ?? null, (key, value: unknown) => (positions.has(key) ? undefined : value));
  return written(a) === written(b);
}

/** The text of a constant without its casts; the parser leaves out what is zero, false or empty. */
export function constantOf(node: Node): { readonly type: string; readonly text: string } | undefined {
  const { tag, inner } = opened(node);
  if (tag !== 'A_Const' || inner['isnull'] === true) return undefined;
  if ('ival' in inner) return { type: 'int4', text: String(Number(record(inner['ival'])['ival'] ?? 0)) };
  if ('fval' in inner) return floatOf(word(record(inner['fval'])['fval']));
  if ('boolval' in inner) return { type: 'bool', text: String(record(inner['boolval'])['boolval'] === true) };
  if ('sval' in inner) return { type: 'unknown', text: word(record(inner['sval'])['sval']) };
  return undefined;
}

/** Integers beyond four bytes come as floats, too. */
function floatOf(text: string): { readonly type: string; readonly text: string } {
  return { type: /^-?\d{1,18}$/.test(text) ? 'int8' : 'numeric', text };
}

const builtInTypes: ReadonlySet<string> = new Set(
  `bool int2 int4 int8 numeric float4 float8 text varchar bpchar name uuid date time timetz timestamp timestamptz interval json jsonb bytea inet cidr macaddr`.split(/\s+/),
);

/** `uuid`, `_text`, `public.mood`: the type's key; none where a modifier would cut or round, or where the name could mean several. */
export function typeKey(typeName: Node): string | undefined {
  const path = names(typeName['names']);
  const name = path.at(-1) ?? '';
  if (typeName['typmods'] !== undefined || typeName['setof'] === true || path.length > 2) return undefined;
  const array = typeName['arrayBounds'] === undefined ? '' : '_';
  if (path.length === 1 || path[0] === 'pg_catalog') return path.length === 2 || builtInTypes.has(name) ? `${array}${name}` : undefined;
  return `${path[0]}.${array}${name}`;
}

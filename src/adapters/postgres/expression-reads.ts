// What a policy's expression asks of the session: settings, and claims by path with the types they must fit. Evaluates nothing.
import { parse } from 'libpg-query';

type Node = Readonly<Record<string, unknown>>;

interface ClaimRead {
  /** The setting whose JSON it is in, or, signed, whose token vouches for it. */
  readonly setting: string;
  readonly signed: boolean;
  readonly path: readonly string[];
  /** Types it is checked against before it is cast, as SQL. */
  readonly types: readonly string[];
}

export interface ExpressionReads {
  /** Without those of tokens. */
  readonly settings: readonly string[];
  readonly claims: readonly ClaimRead[];
}

const jsonOperators = new Set(['->', '->>', '#>', '#>>']);
const validity = new Set(['pg_input_is_valid', 'input_is_valid']);

/** Nothing for what the grammar does not know. */
export async function readsOf(text: string): Promise<ExpressionReads> {
  const settings = new Set<string>();
  const claims = new Map<string, ClaimRead>();
  const tree: unknown = await parse(`SELECT (\n${text}\n)`).catch(() => undefined);
  visit(tree, tree, (tag, node, query) => {
    const source = tag === 'FuncCall' ? sourceOf(node) : undefined;
    if (source !== undefined && !source.signed) settings.add(source.setting);
    const claim = tag === 'A_Expr' ? claimOf(node, query) : undefined;
    if (claim !== undefined) claims.set(JSON.stringify([claim.setting, claim.path]), claim);
  });
  return { settings: [...settings], claims: longest([...claims.values()]) };
}

/** Of `-> 'a' ->> 'b'` only the whole path. */
function longest(claims: readonly ClaimRead[]): readonly ClaimRead[] {
  return claims.filter(({ path }) => !claims.some((other) => other.path.length > path.length && path.every((word, index) => other.path[index] === word)));
}

function claimOf(node: Node, query: unknown): ClaimRead | undefined {
  const path = pathOf(node);
  if (path === undefined) return undefined;
  let source: Source | undefined;
  visit(node['lexpr'], undefined, (tag, inner) => {
    if (tag === 'FuncCall') source ??= sourceOf(inner);
  });
  return source === undefined ? undefined : { ...source, path, types: typesIn(query) };
}

/** The keys of a chain of JSON operators; undefined where one is no constant. */
function pathOf(node: Node): readonly string[] | undefined {
  const operator = words(node['name']).at(-1) ?? '';
  if (!jsonOperators.has(operator)) return undefined;
  const keys = constants(node['rexpr']);
  const left = record(record(node['lexpr'])['A_Expr']);
  const before = jsonOperators.has(words(left['name']).at(-1) ?? '') ? pathOf(left) : [];
  if (keys.length === 0 || before === undefined) return undefined;
  return [...before, ...keys];
}

/** Of `'x'`, `ARRAY['a', 'b']` and `'{a,b}'`. */
function constants(value: unknown): readonly string[] {
  const found: string[] = [];
  const take = (node: Node) => {
    const text = record(node['sval'])['sval'];
    if (typeof text !== 'string') return;
    if (/^\{.*\}$/s.test(text)) found.push(...text.slice(1, -1).split(',').map((word) => word.trim().replace(/^"(.*)"$/s, '$1')));
    else found.push(text);
  };
  visit({ value }, undefined, (tag, node) => {
    if (tag === 'A_Const') take(node);
  });
  return found;
}

function typesIn(query: unknown): readonly string[] {
  const types = new Set<string>();
  visit(query, undefined, (tag, node) => {
    if (tag !== 'FuncCall' || !validity.has(words(node['funcname']).at(-1) ?? '')) return;
    const [type] = constants(list(node['args'])[1]);
    if (type !== undefined && !/"?jsonb?"?$/.test(type)) types.add(type);
  });
  return [...types];
}

type Source = Pick<ClaimRead, 'setting' | 'signed'>;

function sourceOf(node: Node): Source | undefined {
  const name = words(node['funcname']);
  const signed = name.join('.') === 'rowseal.signed_claims';
  const setting = signed || name.at(-1) === 'current_setting' ? constants(list(node['args'])[0])[0] : undefined;
  return setting === undefined ? undefined : { setting, signed };
}

/** Every node with its name and the innermost sub-query around it. */
function visit(value: unknown, query: unknown, seen: (tag: string, node: Node, query: unknown) => void): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    if (/^[A-Z]/.test(key)) seen(key, record(child), query);
    visit(child, key === 'SubLink' ? child : query, seen);
  }
}

function words(value: unknown): readonly string[] {
  return list(value).flatMap((word) => {
    const text = record(record(word)['String'])['sval'];
    return typeof text === 'string' ? [text] : [];
  });
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function record(value: unknown): Node {
  return typeof value === 'object' && value !== null ? (value as Node) : {};
}

// Admits a `sql` predicate only if PostgreSQL's own grammar reads it as one harmless expression (DESIGN §3, Predicates).
import { parse } from 'libpg-query';
import { RowsealError } from '../../model/errors.ts';
import { allowedFunctions, allowedNodes, allowedTypes, nodeWords } from './sql-allow-list.ts';

type Node = Readonly<Record<string, unknown>>;

const longestText = 4096;
/** Everything a bare `SELECT <expression>` has; any other part means that the text was more than an expression. */
const bareSelectParts = new Set(['targetList', 'limitOption', 'op']);
/** Fields whose node stands there without its own name around it. */
const bareFields: Readonly<Record<string, string>> = { typeName: 'TypeName', withClause: 'WithClause', larg: 'SelectStmt', rarg: 'SelectStmt', intoClause: 'IntoClause', over: 'WindowDef' };
const positions = new Set(['location', 'rexpr_list_start', 'rexpr_list_end', 'list_start', 'list_end', 'stmt_location', 'stmt_len']);

interface Admitted {
  /** Names of common tables: what needs no schema. */
  readonly tables: ReadonlySet<string>;
  /** `schema.name` of what a grant admits beyond pg_catalog. */
  readonly mayUse: readonly string[];
}

/** Throws BadPredicate, naming the function or construct, unless the text is one harmless expression. Evaluates nothing. */
export async function checkSqlPredicate(text: string, mayUse: readonly string[] = []): Promise<void> {
  // The parser works on C strings, so what follows a NUL would not be read; half a surrogate pair would be rewritten.
  if (text.includes('\0') || !text.isWellFormed()) throw refusal('it holds a NUL or a broken character');
  if (text.length > longestText) throw refusal(`it is longer than ${longestText} characters`);
  const bare = expressionOf(await parsed(`SELECT ${text}`));
  const embedded = expressionOf(await parsed(`SELECT (\n${text}\n)`));
  // Where the two readings differ, the text reaches out of the parentheses that policies put around it.
  if (withoutPositions(bare) !== withoutPositions(embedded)) throw refusal('it means something else inside parentheses');
  inspect(bare, { tables: commonTableNames(bare), mayUse });
}

/** Functions, types and operators outside pg_catalog that the expression names, as `schema.name`; a grant may admit them. */
export async function namesOutside(text: string): Promise<readonly string[]> {
  const found = new Set<string>();
  JSON.stringify(await parsed(`SELECT (\n${text}\n)`), (key, value: unknown) => {
    const path = key === 'FuncCall' ? record(value)['funcname'] : key === 'typeName' ? record(value)['names'] : key === 'A_Expr' ? record(value)['name'] : undefined;
    const names = namesOf(path);
    if (names.length === 2 && names[0] !== 'pg_catalog') found.add(names.join('.'));
    return value;
  });
  return [...found].sort();
}

async function parsed(statement: string): Promise<unknown> {
  try {
    return await parse(statement);
  } catch (error) {
    throw refusal(`it is no SQL expression: ${error instanceof Error ? error.message : 'syntax error'}`);
  }
}

function expressionOf(tree: unknown): Node {
  const statements = listOf(record(tree)['stmts']);
  const [statement] = statements;
  if (statements.length !== 1 || statement === undefined || 'stmt_len' in statement) throw refusal('it is more than one statement');
  const select = record(record(statement['stmt'])['SelectStmt']);
  const extra = Object.keys(select).find((part) => !bareSelectParts.has(part));
  if (extra !== undefined) throw refusal(`it goes on after the expression (${extra})`);
  if (select['op'] !== 'SETOP_NONE') throw refusal('it is a set operation (UNION, INTERSECT, EXCEPT)');
  const targets = listOf(select['targetList']);
  const target = record(record(targets[0])['ResTarget']);
  if (targets.length !== 1) throw refusal('it is not exactly one expression');
  if ('name' in target || 'indirection' in target) throw refusal('an expression takes no alias');
  const value = record(target['val']);
  if (isStar(value)) throw refusal('* is no condition');
  return value;
}

function isStar(value: Node): boolean {
  const fields = listOf(record(value['ColumnRef'])['fields']);
  return fields.some((field) => 'A_Star' in field);
}

/** Walks the whole tree; node names begin with a capital letter, fields do not. */
function inspect(value: unknown, admitted: Admitted): void {
  if (Array.isArray(value)) {
    for (const item of value) inspect(item, admitted);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    if (/^[A-Z]/.test(key)) inspectNode(key, record(child), admitted);
    const bare = bareFields[key];
    if (bare !== undefined) inspectNode(bare, record(child), admitted);
    inspect(child, admitted);
  }
}

function inspectNode(tag: string, node: Node, admitted: Admitted): void {
  if (!allowedNodes.has(tag)) throw refusal(`${nodeWords[tag] ?? tag} is not allowed`);
  switch (tag) {
    case 'FuncCall':
      return inspectFunction(namesOf(node['funcname']), admitted);
    case 'TypeName':
      return inspectType(node, admitted);
    case 'A_Expr':
      return inspectOperator(namesOf(node['name']), admitted);
    case 'SubLink':
      return inspectOperator(namesOf(node['operName']), admitted);
    case 'SortBy':
      return inspectOperator(namesOf(node['useOp']), admitted);
    case 'SelectStmt':
      return inspectSelect(node);
    case 'WithClause':
      if (node['recursive'] === true) throw refusal('WITH RECURSIVE is not allowed');
      return;
    case 'CommonTableExpr':
      if (!('SelectStmt' in record(node['ctequery']))) throw refusal('WITH may only select');
      return;
    case 'RangeVar':
      return inspectTable(node, admitted.tables);
    default:
  }
}

function inspectFunction(names: readonly string[], { mayUse }: Admitted): void {
  if (isAdmitted(names, mayUse)) return;
  const name = names.at(-1) ?? '';
  if (names.length > 2 || (names.length === 2 && names[0] !== 'pg_catalog')) throw refusal(`function ${names.join('.')} is not one of pg_catalog, and no grant admits it in sqlMayUse`);
  if (!allowedFunctions.has(name)) throw refusal(`function ${name} is not on the list of harmless functions`);
}

function inspectType(node: Node, { mayUse }: Admitted): void {
  const names = namesOf(node['names']);
  if (node['pct_type'] === true || node['setof'] === true) throw refusal('%TYPE and SETOF are not allowed');
  if (isAdmitted(names, mayUse)) return;
  if (names.length > 2 || (names.length === 2 && names[0] !== 'pg_catalog') || !allowedTypes.has(names.at(-1) ?? '')) {
    throw refusal(`type ${names.join('.')} is not on the list of harmless types; a quoted literal takes the column's type by itself`);
  }
}

function inspectOperator(names: readonly string[], { mayUse }: Admitted): void {
  if (!isAdmitted(names, mayUse) && names.length > 1 && names[0] !== 'pg_catalog') throw refusal(`operator ${names.join('.')} is not one of pg_catalog`);
}

/** Only by its whole name: without a schema it would be whatever is found first. */
function isAdmitted(names: readonly string[], mayUse: readonly string[]): boolean {
  return names.length === 2 && names[0] !== 'pg_catalog' && mayUse.includes(names.join('.'));
}

function inspectSelect(node: Node): void {
  if ('intoClause' in node) throw refusal('SELECT INTO is not allowed');
  if ('lockingClause' in node) throw refusal('FOR UPDATE and its kin are not allowed');
}

function inspectTable(node: Node, tables: ReadonlySet<string>): void {
  const name = String(node['relname']);
  if (node['catalogname'] !== undefined) throw refusal(`table ${name} names a database`);
  // Policies are made under search_path = pg_catalog, so a bare name would not find what its author means.
  if (node['schemaname'] === undefined && !tables.has(name)) throw refusal(`table ${name} stands without its schema`);
}

function commonTableNames(tree: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  JSON.stringify(tree, (key, value: unknown) => {
    if (key === 'CommonTableExpr') found.add(String(record(value)['ctename']));
    return value;
  });
  return found;
}

function withoutPositions(tree: Node): string {
  return JSON.stringify(tree, (key, value: unknown) => (positions.has(key) ? undefined : value));
}

function namesOf(value: unknown): readonly string[] {
  return listOf(value).map((item) => {
    const text = record(item['String'])['sval'];
    return typeof text === 'string' ? text : '';
  });
}

function listOf(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function record(value: unknown): Node {
  return typeof value === 'object' && value !== null ? (value as Node) : {};
}

function refusal(why: string): RowsealError {
  return new RowsealError('BadPredicate', `the sql predicate is refused: ${why}`, { next: 'write it as typed terms, or as one plain expression (docs/predicates.md)' });
}

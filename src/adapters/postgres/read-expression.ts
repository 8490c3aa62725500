// Turns PostgreSQL's deparsed expressions and queries into expression trees, by PostgreSQL's own grammar. Evaluates nothing.
import { parse } from 'libpg-query';
import type { Expression, QueryExpression } from '../../policy/expression.ts';
import type { TableName } from '../../policy/table-name.ts';

type Node = Readonly<Record<string, unknown>>;

/** The tree of a deparsed expression; `Other` for what the grammar of our parser does not know. */
export async function readExpression(text: string): Promise<Expression> {
  const select = await selectOf(`SELECT ${text}`);
  const target = select === undefined ? undefined : record(record(list(select['targetList'])[0])['ResTarget'])['val'];
  return target === undefined ? { kind: 'Other', node: 'unread', args: [] } : expressionOf(record(target));
}

/** Everything that the query's WHEREs and joins demand, its sub-queries in FROM included; undefined when it takes every row. */
export async function readFilter(query: string): Promise<Expression | undefined> {
  const select = await selectOf(query);
  return select === undefined ? { kind: 'Other', node: 'unread', args: [] } : conjunction(conditionsOf(select));
}

async function selectOf(statement: string): Promise<Node | undefined> {
  try {
    const tree = (await parse(statement)) as { readonly stmts?: readonly { readonly stmt?: unknown }[] };
    return record(record(tree.stmts?.[0]?.stmt)['SelectStmt']);
  } catch {
    return undefined;
  }
}

function expressionOf(node: Node): Expression {
  const [tag] = Object.keys(node);
  const inner = record(tag === undefined ? undefined : node[tag]);
  switch (tag) {
    case 'BoolExpr':
      return boolean(inner);
    case 'A_Expr':
      return { kind: 'Operator', operator: operatorOf(inner), args: present([inner['lexpr'], inner['rexpr']]) };
    case 'ColumnRef':
      return { kind: 'Column', path: names(inner['fields']) };
    case 'A_Const':
      return { kind: 'Constant', value: constant(inner) };
    case 'FuncCall':
      return functionCall(inner);
    case 'TypeCast':
      return cast(inner);
    case 'SQLValueFunction':
      return { kind: 'SessionValue', name: String(inner['op']).replace('SVFOP_', '').toLowerCase() };
    case 'NullTest':
      return { kind: 'Operator', operator: inner['nulltesttype'] === 'IS_NULL' ? 'IS NULL' : 'IS NOT NULL', args: present([inner['arg']]) };
    case 'CoalesceExpr':
      return { kind: 'Function', name: 'coalesce', args: present(list(inner['args'])) };
    case 'SubLink':
      return subQuery(inner);
    default:
      return { kind: 'Other', node: tag ?? 'nothing', args: nested(inner) };
  }
}

function boolean(node: Node): Expression {
  const args = present(list(node['args']));
  const [only] = args;
  if (node['boolop'] === 'NOT_EXPR' && only !== undefined) return { kind: 'Not', args: [only] };
  return { kind: node['boolop'] === 'AND_EXPR' ? 'And' : 'Or', args };
}

const operatorWords: Readonly<Record<string, string>> = {
  AEXPR_DISTINCT: 'IS DISTINCT FROM',
  AEXPR_NOT_DISTINCT: 'IS NOT DISTINCT FROM',
  AEXPR_NULLIF: 'NULLIF',
  AEXPR_BETWEEN: 'BETWEEN',
};

function operatorOf(node: Node): string {
  const name = names(node['name']).at(-1) ?? '';
  switch (node['kind']) {
    case 'AEXPR_OP_ANY':
      return `${name} ANY`;
    case 'AEXPR_OP_ALL':
      return `${name} ALL`;
    case 'AEXPR_IN':
      return name === '=' ? 'IN' : 'NOT IN';
    default:
      return operatorWords[String(node['kind'])] ?? name;
  }
}

function functionCall(node: Node): Expression {
  const path = names(node['funcname']);
  const args = present(list(node['args']));
  const schema = path.length > 1 && path[0] !== 'pg_catalog' ? path[0] : undefined;
  return { kind: 'Function', ...(schema === undefined ? {} : { schema }), name: path.at(-1) ?? '', args };
}

function cast(node: Node): Expression {
  const type = record(node['typeName']);
  const name = names(type['names']);
  const shown = name[0] === 'pg_catalog' ? name.slice(1) : name;
  const array = type['arrayBounds'] === undefined ? '' : '[]';
  return { kind: 'Cast', type: shown.join('.') + array, modifier: type['typmods'] !== undefined, args: [expressionOf(record(node['arg']))] };
}

function constant(node: Node): string | number | boolean | null {
  if (node['isnull'] === true) return null;
  const text = record(node['sval'])['sval'] ?? record(node['fval'])['fval'] ?? record(node['bsval'])['bsval'];
  if (typeof text === 'string') return text;
  // The parser leaves out what is zero: `ival: {}` is 0, `boolval: {}` is false, `sval: {}` is the empty string.
  if ('ival' in node) return Number(record(node['ival'])['ival'] ?? 0);
  if ('boolval' in node) return record(node['boolval'])['boolval'] === true;
  return '';
}

const queryForms: Readonly<Record<string, QueryExpression['form']>> = { EXISTS_SUBLINK: 'Exists', ANY_SUBLINK: 'Any', ALL_SUBLINK: 'All', ARRAY_SUBLINK: 'Array' };

function subQuery(node: Node): Expression {
  const select = record(record(node['subselect'])['SelectStmt']);
  const operator = names(node['operName']).at(-1);
  const where = conjunction(conditionsOf(select));
  const targets = list(select['targetList']).map((target) => record(target['ResTarget'])['val']);
  return {
    kind: 'Query',
    form: queryForms[String(node['subLinkType'])] ?? 'Scalar',
    ...(operator === undefined ? {} : { operator }),
    reads: tablesOf(select),
    args: present([node['testexpr'], ...targets]),
    ...(where === undefined ? {} : { where }),
  };
}

/** Every table that a query names, at any depth. */
function tablesOf(select: Node): readonly TableName[] {
  const found: TableName[] = [];
  visit(select, (tag, node) => {
    if (tag === 'RangeVar' && typeof node['schemaname'] === 'string') found.push({ schema: node['schemaname'], table: String(node['relname']) });
  });
  return found;
}

/** WHERE, HAVING and join conditions of a query and of the queries in its FROM, WITH and UNION. */
function conditionsOf(select: Node): readonly Expression[] {
  const own = present([select['whereClause'], select['havingClause']]);
  const arms = [select['larg'], select['rarg']].filter((arm) => arm !== undefined).flatMap((arm) => conditionsOf(record(arm)));
  const common = list(record(select['withClause'])['ctes']).flatMap((cte) => conditionsOf(record(record(record(cte['CommonTableExpr'])['ctequery'])['SelectStmt'])));
  return [...own, ...list(select['fromClause']).flatMap(fromConditions), ...arms, ...common];
}

function fromConditions(node: Node): readonly Expression[] {
  const join = record(node['JoinExpr']);
  if ('JoinExpr' in node) return [...present([join['quals']]), ...fromConditions(record(join['larg'])), ...fromConditions(record(join['rarg']))];
  if ('RangeSubselect' in node) return conditionsOf(record(record(record(node['RangeSubselect'])['subquery'])['SelectStmt']));
  return [];
}

function conjunction(conditions: readonly Expression[]): Expression | undefined {
  return conditions.length > 1 ? { kind: 'And', args: conditions } : conditions[0];
}

/** Parts of a node that has no shape of its own here: CASE, ROW, array constructors, subscripts. */
function nested(node: Node): readonly Expression[] {
  return Object.values(node).flatMap((value) => {
    if (Array.isArray(value)) return value.flatMap((item) => (isNode(item) ? [expressionOf(item)] : []));
    return isNode(value) ? [expressionOf(value)] : [];
  });
}

/** Node names begin with a capital letter, fields do not. */
function isNode(value: unknown): value is Node {
  const [tag] = Object.keys(record(value));
  return tag !== undefined && /^[A-Z]/.test(tag);
}

function visit(value: unknown, seen: (tag: string, node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, seen);
    return;
  }
  for (const [key, child] of Object.entries(record(value))) {
    if (/^[A-Z]/.test(key)) seen(key, record(child));
    visit(child, seen);
  }
}

function present(nodes: readonly unknown[]): readonly Expression[] {
  return nodes.filter((node) => isNode(node)).map((node) => listOrOne(node));
}

/** `IN (a, b)` keeps its right side in a List. */
function listOrOne(node: Node): Expression {
  return 'List' in node ? { kind: 'Other', node: 'List', args: present(list(record(node['List'])['items'])) } : expressionOf(node);
}

function names(value: unknown): readonly string[] {
  return list(value).map((item) => {
    const text = record(item['String'])['sval'];
    return typeof text === 'string' ? text : '*';
  });
}

function list(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function record(value: unknown): Node {
  return typeof value === 'object' && value !== null ? (value as Node) : {};
}

// Recognises conditions: for each, when it is true and when it is false, since NOT asks for the other; what is neither denies.
import { among, compared } from './recognise-compare.ts';
import { bodyOf } from './recognise-function.ts';
import { looksUp } from './recognise-lookup.ts';
import { constantOf, list, type Node, opened, plainName, record, sameText, Unrecognised, word } from './recognise-node.ts';
import { isNotNull, isNull } from './recognise-null.ts';
import { arrayItems } from './recognise-array.ts';
import { allOf, either, type Facts, type Scope, single, type Value } from './recognise-scope.ts';
import { valueOf } from './recognise-value.ts';

const comparisons = { '=': 'Eq', '<>': 'Ne', '<': 'Lt', '<=': 'Lte', '>': 'Gt', '>=': 'Gte' } as const;
const opposite = { '=': '<>', '<>': '=', '<': '>=', '<=': '>', '>': '<=', '>=': '<' } as const;

/** When the condition is true (`positive`) or false. Throws Unrecognised. */
export function whenIs(positive: boolean, node: Node, scope: Scope): Facts {
  const constant = constantOf(node);
  if (constant?.type === 'bool') return (constant.text === 'true') === positive ? [[]] : [];
  const { tag, inner } = opened(node);
  switch (tag) {
    case 'BoolExpr':
      return junction(positive, inner, scope);
    case 'A_Expr':
      return comparison(positive, inner, scope);
    case 'NullTest':
      return nullTest(positive === (inner['nulltesttype'] === 'IS_NULL'), valueOf(record(inner['arg']), scope));
    case 'BooleanTest':
      return booleanTest(positive, inner, scope);
    case 'SubLink':
      return inner['subLinkType'] === 'EXPR_SUBLINK' ? selectedCondition(positive, inner, scope) : lookup(positive, inner, scope);
    case 'FuncCall':
      return calledCondition(positive, inner, scope);
    case 'CoalesceExpr':
      return fallback(positive, list(inner['args']), scope);
    default:
      return flag(positive, valueOf(node, scope));
  }
}

function junction(positive: boolean, inner: Node, scope: Scope): Facts {
  const args = list(inner['args']);
  const [only] = args;
  if (inner['boolop'] === 'NOT_EXPR') return whenIs(!positive, record(only), scope);
  const needed = positive && inner['boolop'] === 'AND_EXPR' ? args.filter((arg, index) => !isImplied(arg, args[index + 1])) : args;
  if ((inner['boolop'] === 'AND_EXPR') === positive) return allOf(needed.map((arg) => whenIs(positive, arg, scope)));
  return either(args.map((arg) => unlessProving(() => whenIs(positive, arg, scope), scope)));
}

/** `x IS NOT NULL` before `NOT (x = ANY (…))`, as we write a negated list: the second can't be true without the first. */
function isImplied(arg: Node, next: Node | undefined): boolean {
  const { tag, inner } = opened(arg);
  if (tag !== 'NullTest' || inner['nulltesttype'] !== 'IS_NOT_NULL' || next === undefined) return false;
  const negated = opened(next);
  const among = opened(record(list(negated.inner['args'])[0]));
  return negated.inner['boolop'] === 'NOT_EXPR' && among.inner['kind'] === 'AEXPR_OP_ANY' && sameText(among.inner['lexpr'], inner['arg']);
}

/** A proof needs some of what a policy shows, not all of it: an alternative that is not understood counts for nothing. */
function unlessProving(recognise: () => Facts, { meanings }: Scope): Facts {
  try {
    return recognise();
  } catch (error) {
    if (meanings.proving === true && error instanceof Unrecognised) return [];
    throw error;
  }
}

function comparison(positive: boolean, inner: Node, scope: Scope): Facts {
  const name = plainName(inner['name']);
  const [left, right] = [record(inner['lexpr']), record(inner['rexpr'])];
  switch (inner['kind']) {
    case 'AEXPR_OP':
      return operation(positive, name, { left, right, scope });
    case 'AEXPR_OP_ANY':
      if (equalityOf(name, left, scope)) return anyOf(positive, left, right, scope);
      break;
    case 'AEXPR_OP_ALL':
      if (name === '<>') return among(valueOf(left, scope), arrayItems(right, scope), !positive);
      break;
    case 'AEXPR_IN':
      return among(valueOf(left, scope), list(record(inner['rexpr'])['items'] ?? record(record(inner['rexpr'])['List'])['items']).map((item) => valueOf(item, scope)), (name === '=') === positive);
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT':
      return distinct((inner['kind'] === 'AEXPR_DISTINCT') === positive, valueOf(left, scope), valueOf(right, scope));
  }
  throw new Unrecognised(`${name} in this form is no comparison that terms know`);
}

interface Sides {
  readonly left: Node;
  readonly right: Node;
  readonly scope: Scope;
}

function operation(positive: boolean, name: string, { left, right, scope }: Sides): Facts {
  const subselect = [left, right].find((side) => isLookup(side));
  if (subselect !== undefined && positive && name === '=') {
    // A lookup of several rows would be an error; of one, it is equality with a member, and of none, nothing is true.
    return looksUp(selectIn(subselect), valueOf(subselect === left ? right : left, scope), scope);
  }
  const bare = name.slice(name.lastIndexOf('.') + 1);
  if (!isComparison(bare)) throw new Unrecognised(`the operator ${name} is no comparison that terms know`);
  const [a, b] = [valueOf(left, scope), valueOf(right, scope)];
  if (name !== bare) requireOwnOperator(name, [a, b]);
  return compared(a, b, { op: comparisons[bare], positive });
}

/** A term takes the operator of the column's own type, wherever that is. */
function requireOwnOperator(name: string, values: readonly Value[]): void {
  const columns = values.flatMap(({ cases }) => cases.flatMap(({ part, source }) => (part.kind === 'column' ? (source?.table.columns.find((column) => column.name === part.name) ?? []) : [])));
  if (columns.length === 0 || columns.some(({ operatorSchema }) => name.slice(0, name.lastIndexOf('.')) !== operatorSchema)) throw new Unrecognised(`the operator ${name} is not the column's own`);
}

function equalityOf(name: string, left: Node, scope: Scope): boolean {
  if (name === '=') return true;
  if (!name.endsWith('.=')) return false;
  requireOwnOperator(name, [valueOf(left, scope)]);
  return true;
}

function isComparison(name: string): name is keyof typeof opposite {
  return Object.hasOwn(opposite, name);
}

function isLookup(node: Node): boolean {
  const { tag, inner } = opened(node);
  return tag === 'SubLink' && inner['subLinkType'] === 'EXPR_SUBLINK' && list(selectIn(node)['fromClause']).some((item) => opened(item).tag !== 'RangeSubselect');
}

function selectIn(node: Node): Node {
  return record(record(opened(node).inner['subselect'])['SelectStmt']);
}

function anyOf(positive: boolean, left: Node, right: Node, scope: Scope): Facts {
  const { tag, inner } = opened(right);
  if (tag === 'SubLink' && inner['subLinkType'] === 'ARRAY_SUBLINK' && positive) return looksUp(selectIn(right), valueOf(left, scope), scope);
  return among(valueOf(left, scope), arrayItems(right, scope), positive);
}

function lookup(positive: boolean, inner: Node, scope: Scope): Facts {
  if (!positive) throw new Unrecognised('a lookup is negated');
  const select = record(record(inner['subselect'])['SelectStmt']);
  if (inner['subLinkType'] === 'EXISTS_SUBLINK') return looksUp(select, undefined, scope);
  const operator = plainName(inner['operName'] ?? []);
  if (inner['subLinkType'] !== 'ANY_SUBLINK' || (operator !== '' && operator !== '=')) throw new Unrecognised('a lookup is compared with more than equality');
  return looksUp(select, valueOf(record(inner['testexpr']), scope), scope);
}

/** `(SELECT condition)`: once per query, and the same. */
function selectedCondition(positive: boolean, inner: Node, scope: Scope): Facts {
  const select = record(record(inner['subselect'])['SelectStmt']);
  const known = new Set(['targetList', 'limitOption', 'op']);
  const [target, ...more] = list(select['targetList']);
  if (target === undefined || more.length > 0 || Object.keys(select).some((part) => !known.has(part)) || select['op'] !== 'SETOP_NONE') throw new Unrecognised('a lookup is no condition');
  return whenIs(positive, record(record(target['ResTarget'])['val']), scope);
}

function calledCondition(positive: boolean, inner: Node, scope: Scope): Facts {
  const body = bodyOf(plainName(inner['funcname']), list(inner['args']), scope);
  const { called, select } = body;
  if (called.returns !== 'bool' || called.returnsSet) throw new Unrecognised(`${called.name} returns no condition`);
  if (select['fromClause'] === undefined) return selectedCondition(positive, { subselect: { SelectStmt: select } }, body.scope);
  const target = record(record(list(select['targetList'])[0])['ResTarget'])['val'];
  if (!positive || constantOf(record(target))?.text !== 'true') throw new Unrecognised(`the body of ${called.name} is more than one lookup`);
  return looksUp(select, undefined, body.scope);
}

/** `coalesce(condition, constant)`. */
function fallback(positive: boolean, args: readonly Node[], scope: Scope): Facts {
  const [first, last] = args;
  const constant = last === undefined ? undefined : constantOf(last);
  if (first === undefined || args.length !== 2 || constant?.type !== 'bool') return flag(positive, valueOf({ CoalesceExpr: { args } }, scope));
  const certain = whenIs(positive, first, scope);
  if ((constant.text === 'true') !== positive) return certain;
  return either([certain, isNull(valueOf(first, scope))]);
}

/** IS TRUE, IS NOT TRUE, IS FALSE, IS NOT FALSE, IS UNKNOWN. */
function booleanTest(positive: boolean, inner: Node, scope: Scope): Facts {
  const arg = record(inner['arg']);
  const test = word(inner['booltesttype']);
  const [wanted, negated] = [test.endsWith('TRUE'), test.includes('NOT')];
  if (test.endsWith('UNKNOWN')) return nullTest(positive !== negated, valueOf(arg, scope));
  if (negated !== positive) return whenIs(wanted, arg, scope);
  return either([whenIs(!wanted, arg, scope), isNull(valueOf(arg, scope))]);
}

function distinct(different: boolean, a: Value, b: Value): Facts {
  const literal = [a, b].find(({ cases }) => cases.length === 1 && cases[0]?.part.kind === 'literal');
  if (literal === undefined) throw new Unrecognised('NULLs are taken for equal');
  const equal = compared(a, b, { op: 'Eq', positive: !different });
  return different ? either([equal, isNull(literal === a ? b : a)]) : equal;
}

function nullTest(wanted: boolean, value: Value): Facts {
  return wanted ? isNull(value) : isNotNull(value);
}

/** A column that holds true or false. */
function flag(positive: boolean, value: Value): Facts {
  if (value.type !== 'bool' || value.cases.some(({ part }) => part.kind !== 'column')) throw new Unrecognised('it is no condition that terms know');
  return compared(value, single('bool', { kind: 'literal', text: String(positive) }), { op: 'Eq', positive: true });
}

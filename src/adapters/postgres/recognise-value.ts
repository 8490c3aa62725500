// Recognises a value: a column, a literal, the role, the time, a setting, a claim, or what a function of the catalog makes of them.
import type { IntervalUnit, Operand } from '../../policy/predicate.ts';
import { castValue } from './recognise-cast.ts';
import { bodyValue } from './recognise-function.ts';
import { documentStep, extractedPath } from './recognise-json.ts';
import { literalText, rawSetting } from './recognise-literal.ts';
import { constantOf, list, type Node, names, opened, plainName, record, sameText, typeKey, Unrecognised, word } from './recognise-node.ts';
import { nullGuards } from './recognise-null.ts';
import { columnValue, type Part, type Scope, single, type Value } from './recognise-scope.ts';
import { selectedValue } from './recognise-select.ts';

/** The value of an expression. Throws Unrecognised. */
export function valueOf(node: Node, scope: Scope): Value {
  const constant = constantOf(node);
  if (constant !== undefined) return single(constant.type, { kind: 'literal', text: constant.text });
  const { tag, inner } = opened(node);
  switch (tag) {
    case 'ColumnRef':
      return columnValue(names(inner['fields']), scope);
    case 'ParamRef':
      return columnValue([`$${word(inner['number'])}`], scope);
    case 'TypeCast':
      return castValue(valueOf(record(inner['arg']), scope), typeKey(record(inner['typeName'])));
    case 'CollateClause':
      return defaultCollation(inner, scope);
    case 'SQLValueFunction':
      return sessionValue(word(inner['op']), scope);
    case 'FuncCall':
      return callValue(inner, scope);
    case 'CoalesceExpr':
      return coalesced(list(inner['args']).map((arg) => valueOf(arg, scope)));
    case 'A_Expr':
      return operatorValue(inner, scope);
    case 'SubLink':
      return subselectValue(inner, scope);
    case 'CaseExpr':
      return softCast(inner, scope);
    default:
      throw new Unrecognised(`${tag === '' ? 'nothing' : tag} is no value that terms know`);
  }
}

function defaultCollation(inner: Node, scope: Scope): Value {
  const value = valueOf(record(inner['arg']), scope);
  if (plainName(inner['collname']) !== 'default' || value.cases.some(({ source }) => source !== undefined)) throw new Unrecognised('it names a collation');
  return value;
}

function sessionValue(op: string, { reader }: Scope): Value {
  if (reader.kind === 'owner' && /USER|ROLE/.test(op)) throw new Unrecognised('a function asks who it runs as, and runs as its owner');
  switch (op) {
    case 'SVFOP_CURRENT_USER':
    case 'SVFOP_CURRENT_ROLE':
    case 'SVFOP_USER':
      return single('name', { kind: 'currentRole' });
    case 'SVFOP_CURRENT_TIMESTAMP':
      return single('timestamptz', { kind: 'now' });
    case 'SVFOP_CURRENT_DATE':
      return single('date', { kind: 'now' });
    default:
      throw new Unrecognised(`${op.replace('SVFOP_', '').toLowerCase()} is no value that terms know`);
  }
}

function callValue(inner: Node, scope: Scope): Value {
  const name = plainName(inner['funcname']);
  const args = list(inner['args']);
  for (const part of ['agg_order', 'agg_filter', 'over', 'func_variadic', 'agg_distinct', 'agg_star']) if (part in inner) throw new Unrecognised(`${name} is called in a special form`);
  switch (name) {
    case 'current_setting':
      return settingValue(args, scope);
    case 'now':
    case 'transaction_timestamp':
      return single('timestamptz', { kind: 'now' });
    case 'json_extract_path_text':
    case 'jsonb_extract_path_text':
      return extractedPath(args.map((arg) => valueOf(arg, scope)), scope);
    case 'lower':
    case 'upper':
      return folded(name, args.map((arg) => valueOf(arg, scope)));
    default:
      return bodyValue(name, args, scope);
  }
}

function folded(name: 'lower' | 'upper', [value, ...more]: readonly Value[]): Value {
  if (value === undefined || more.length > 0 || (value.type !== 'text' && value.type !== 'varchar')) throw new Unrecognised(`${name} of something that is no text`);
  return { type: 'text', cases: value.cases.map((each) => ({ ...each, part: { kind: 'function', name, args: [operandOf(each.part)] } })) };
}

function operandOf(part: Part): Operand {
  if (part.kind === 'document' || part.kind === 'item') throw new Unrecognised('JSON is taken as a whole');
  return part;
}

/** As it is: what was never set is NULL, what SET LOCAL left behind is ''. Only `nullif`, or a cast that '' does not survive, makes a plain setting of it. */
function settingValue(args: readonly Node[], scope: Scope): Value {
  const [name, missing] = args;
  const setting = name === undefined ? undefined : literalText(valueOf(name, scope));
  if (setting === undefined || (missing !== undefined && constantOf(missing)?.type !== 'bool')) throw new Unrecognised('the name of the setting is not a literal');
  return single('text', { kind: 'function', name: 'current_setting', args: [{ kind: 'literal', text: setting }] });
}

/** The first that is known: each value with the guard that all before it are not. */
function coalesced(values: readonly Value[]): Value {
  const [first, ...rest] = values;
  if (first === undefined) throw new Unrecognised('coalesce of nothing');
  if (rest.length === 0) return first;
  const other = coalesced(rest);
  const type = first.type === 'unknown' ? other.type : first.type;
  if (other.type !== 'unknown' && other.type !== type) throw new Unrecognised('coalesce of several types');
  const guards = nullGuards(first, other);
  return { type, cases: [...first.cases, ...other.cases.map((each) => ({ ...each, guards: [...guards, ...each.guards] }))] };
}

function operatorValue(inner: Node, scope: Scope): Value {
  const [left, right] = [record(inner['lexpr']), record(inner['rexpr'])];
  const name = plainName(inner['name']);
  if (inner['kind'] === 'AEXPR_NULLIF') return nullified(valueOf(left, scope), valueOf(right, scope));
  if (inner['kind'] !== 'AEXPR_OP') throw new Unrecognised(`${name} is no value that terms know`);
  if (['->', '->>', '#>', '#>>'].includes(name)) return documentStep(valueOf(left, scope), name, valueOrPath(right, scope), scope);
  if (name === '+' || name === '-') return movedTime(valueOf(left, scope), name, valueOf(right, scope));
  throw new Unrecognised(`the operator ${name} makes no value that terms know`);
}

/** A path is an array of literals, or the text of one. */
function valueOrPath(node: Node, scope: Scope): Value | readonly string[] {
  const { tag, inner } = opened(node);
  const array = tag === 'A_ArrayExpr' ? inner : tag === 'TypeCast' && opened(record(inner['arg'])).tag === 'A_ArrayExpr' ? opened(record(inner['arg'])).inner : undefined;
  if (array === undefined) return valueOf(node, scope);
  return list(array['elements']).map((element) => {
    const text = literalText(valueOf(element, scope));
    if (text === undefined) throw new Unrecognised('the path is not made of literals');
    return text;
  });
}

/** `nullif(x, '')`: a setting that is empty is none; a claim that is empty is guarded against. */
function nullified(value: Value, other: Value): Value {
  if (literalText(other) !== '' || value.type !== 'text') throw new Unrecognised('nullif of something else than an empty text');
  return {
    type: 'text',
    cases: value.cases.map((each) => {
      const setting = rawSetting(each.part);
      if (setting !== undefined) return { ...each, part: { kind: 'setting' as const, name: setting } };
      if (each.part.kind !== 'claim') throw new Unrecognised('nullif of something that is no setting and no claim');
      const known = { term: { kind: 'compare' as const, op: 'Ne' as const, left: each.part, right: { kind: 'literal' as const, text: '' }, not: false }, sources: [] };
      return { ...each, guards: [...each.guards, known] };
    }),
  };
}

const units: Readonly<Record<string, IntervalUnit>> = { day: 'day', days: 'day', mon: 'month', mons: 'month', month: 'month', months: 'month', year: 'year', years: 'year', week: 'week', weeks: 'week', hour: 'hour', hours: 'hour', minute: 'minute', minutes: 'minute', second: 'second', seconds: 'second' };

function movedTime(time: Value, sign: '+' | '-', by: Value): Value {
  const [only] = time.cases;
  if (time.cases.length !== 1 || only?.part.kind !== 'now' || only.part.offset !== undefined || time.type !== 'timestamptz' || by.type !== 'interval') throw new Unrecognised('it computes something else than a time');
  return single('timestamptz', { kind: 'now', offset: { sign, ...intervalOf(literalText(by) ?? '') } });
}

function intervalOf(text: string): { amount: number; unit: IntervalUnit } {
  const [, amount, word] = /^(\d{1,9}) ([a-z]+)$/.exec(text) ?? [];
  const unit = units[word ?? ''];
  if (amount !== undefined && unit !== undefined) return { amount: Number(amount), unit };
  const [, hours, minutes, seconds] = /^(\d{2}):(\d{2}):(\d{2})$/.exec(text) ?? [];
  const parts = ([['hour', hours], ['minute', minutes], ['second', seconds]] as const).filter(([, part]) => Number(part ?? 0) > 0);
  const [part] = parts;
  if (parts.length !== 1 || part === undefined) throw new Unrecognised(`the interval ${JSON.stringify(text)} has several units`);
  return { amount: Number(part[1]), unit: part[0] };
}

/** `(SELECT value)`, also with values made in FROM; lookups that yield one row are no values here. */
function subselectValue(inner: Node, scope: Scope): Value {
  if (inner['subLinkType'] !== 'EXPR_SUBLINK') throw new Unrecognised('a lookup is no value');
  return selectedValue(record(record(inner['subselect'])['SelectStmt']), scope);
}

/** `case when pg_input_is_valid(x, 'type') then cast(x as type) end`, as we write it: what does not fit is unknown. */
function softCast(inner: Node, scope: Scope): Value {
  const [when, ...more] = list(inner['args']).map((each) => opened(each).inner);
  const { tag, inner: check } = opened(record(when?.['expr']));
  const { tag: castTag, inner: cast } = opened(record(when?.['result']));
  const isCheck = tag === 'FuncCall' && ['pg_input_is_valid', 'rowseal.input_is_valid'].includes(plainName(check['funcname']));
  if (when === undefined || more.length > 0 || !isNothing(inner['defresult']) || inner['arg'] !== undefined || !isCheck || castTag !== 'TypeCast') throw new Unrecognised('CASE is no value that terms know');
  const [checked, type] = list(check['args']);
  const wanted = type === undefined ? undefined : literalText(valueOf(type, scope));
  const key = typeKey(record(cast['typeName']));
  const sameValue = sameText(checked, cast['arg']);
  if (!sameValue || key === undefined || wanted?.replaceAll('"', '').replace(/^pg_catalog\./, '') !== key) throw new Unrecognised('CASE is no value that terms know');
  return castValue(valueOf(record(cast['arg']), scope), key);
}

/** No ELSE, or as it is deparsed: `ELSE NULL::type`. */
function isNothing(node: unknown): boolean {
  const { tag, inner } = opened(record(node));
  if (tag === 'TypeCast') return isNothing(inner['arg']);
  return tag === '' || (tag === 'A_Const' && inner['isnull'] === true);
}

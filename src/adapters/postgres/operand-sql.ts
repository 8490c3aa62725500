// One side of a comparison as SQL: its type where it has one of its own, and its value as the type it is compared with.
import type { Interval, Operand } from '../../policy/predicate.ts';
import { castOnceSql, claimSql, roleSql, settingSql } from './claim-sql.ts';
import { integerOf, type Parameter, requireUnit, signatureOf } from './function-list.ts';
import { columnOf, type PredicateScope } from './predicate-scope.ts';
import { quoteLiteral, quoteName } from './quote.ts';
import { builtInType, columnType, isArray, isBuiltIn, isTextual, jsonbType, requireComparable, sameType, type SqlType, textType, timestamptzType, typeSql, unfit } from './sql-type.ts';

type Call = Extract<Operand, { kind: 'function' }>;

/** The type that the operand has by itself; undefined for those that take the type of the other side. */
export function typeOf(operand: Operand, scope: PredicateScope): SqlType | undefined {
  switch (operand.kind) {
    case 'column':
      return columnType(columnOf(operand.name, scope.table));
    case 'now':
      return timestamptzType;
    case 'function':
      return callType(operand, scope);
    case 'claim':
    case 'literal':
    case 'currentRole':
    case 'setting':
      return undefined;
  }
}

/** Whether the value differs from row to row; what does not is computed once per query, and can be cast. */
export function usesRow(operand: Operand): boolean {
  return operand.kind === 'column' || (operand.kind === 'function' && operand.args.some(usesRow));
}

/** The operand as a value of `type`: NULL where it can't be one. Throws BadPredicate where it never can. */
export function operandSql(operand: Operand, type: SqlType, scope: PredicateScope): string {
  switch (operand.kind) {
    case 'column':
      requireComparable(columnType(columnOf(operand.name, scope.table)), type);
      return `${scope.prefix}${quoteName(operand.name)}`;
    case 'claim':
      return noted(claimSql(operand.path, type, scope.session), scope);
    case 'setting':
      return noted(settingSql(operand.name, type, scope.session), scope);
    case 'currentRole':
      return noted(roleSql(type, scope.session), scope);
    case 'literal':
      return literalSql(operand.text, type, scope);
    case 'now':
      return nowSql(operand.offset, type);
    case 'function':
      return functionSql(operand, type, scope);
  }
}

/** A literal; whether it fits its type is asked before anything is applied. */
export function literalSql(text: string, type: SqlType, { literals, rule }: PredicateScope): string {
  const name = typeSql(type);
  if (!isTextual(type)) literals.set(JSON.stringify([text, name]), { text, type: name, rule });
  return `cast(${quoteLiteral(text)} as ${name})`;
}

/** The call as it is, its arguments not yet computed once. Throws BadPredicate for arguments that don't fit. */
export function callSql(call: Call, scope: PredicateScope): string {
  // One that was never set is NULL, and no error.
  if (call.name === 'current_setting') return `current_setting(${quoteLiteral(literalOf(call.args[0] ?? call, call.name))}, true)`;
  const { parameters } = signatureOf(call.name, call.args.length);
  const type = callType(call, scope);
  const rendered = call.args.map((arg, index) => argumentSql(arg, { name: call.name, parameter: parameters[index] ?? 'text', type }, scope));
  return `${call.name === 'coalesce' ? 'coalesce' : quoteName(call.name)}(${rendered.join(', ')})`;
}

/** STABLE, not wrapped: the planner knows its value and so how many rows it selects. */
function nowSql(offset: Interval | undefined, type: SqlType): string {
  if (!isBuiltIn(type, 'timestamptz', 'timestamp', 'date')) throw unfit(`now is compared with ${type.name}`, 'compare it with a column of type date, timestamp or timestamptz');
  const moved = offset === undefined ? 'now()' : `(now() ${offset.sign} cast(${quoteLiteral(`${offset.amount} ${offset.unit}`)} as interval))`;
  return sameType(type, timestamptzType) ? moved : `cast(${moved} as ${typeSql(type)})`;
}

function functionSql(call: Call, type: SqlType, scope: PredicateScope): string {
  const own = callType(call, scope);
  if (usesRow(call)) {
    requireComparable(own, type);
    return callSql(call, scope);
  }
  // Only the result has to be known: coalesce is there to make up for an argument that is not.
  const { known: _, ...inner } = scope;
  const sql = callSql(call, inner);
  return noted(sameType(own, type) ? `(select ${sql})` : castOnceSql(`cast(${sql} as "pg_catalog"."text")`, type, scope.session), scope);
}

function callType({ name, args }: Call, scope: PredicateScope): SqlType {
  const { returns, parameters } = signatureOf(name, args.length);
  if (returns !== 'same') return returns;
  const time = args[parameters.indexOf('time')];
  return time === undefined ? commonType(args, scope) : timeTypeOf(time, scope);
}

interface Place {
  readonly name: string;
  readonly parameter: Parameter;
  /** What the call returns. */
  readonly type: SqlType;
}

function argumentSql(arg: Operand, { name, parameter, type }: Place, scope: PredicateScope): string {
  switch (parameter) {
    case 'text':
      return textSql(arg, name, scope);
    case 'literal':
      return literalSql(literalOf(arg, name), textType, scope);
    case 'anyInteger':
    case 'nonZero':
    case 'nonNegative':
      return String(integerOf(literalOf(arg, name), parameter, name));
    case 'unit':
    case 'field':
      requireUnit(literalOf(arg, name), parameter);
      return literalSql(literalOf(arg, name), textType, scope);
    case 'time':
      return timeSql(arg, scope);
    case 'jsonb':
      return fixedSql(arg, jsonbType, { name, scope });
    case 'inet':
      return fixedSql(arg, builtInType('inet', 'I'), { name, scope });
    case 'array':
      return arraySql(arg, name, scope);
    case 'same':
      return operandSql(arg, type, scope);
  }
}

/** Anything that reads as text: the cast to text can't fail. */
function textSql(arg: Operand, name: string, scope: PredicateScope): string {
  const own = typeOf(arg, scope);
  if (own === undefined) return operandSql(arg, textType, scope);
  if (own.category !== 'S' && own.category !== 'E' && !isBuiltIn(own, 'uuid')) throw unfit(`${name} takes text, and not ${own.name}`, 'give it a column of text');
  const sql = operandSql(arg, own, scope);
  return isBuiltIn(own, 'varchar') || (isBuiltIn(own, 'text') && arg.kind !== 'column') ? sql : `cast(${sql} as "pg_catalog"."text")`;
}

function fixedSql(arg: Operand, wanted: SqlType, { name, scope }: { readonly name: string; readonly scope: PredicateScope }): string {
  const own = typeOf(arg, scope);
  const fits = own === undefined || sameType(own, wanted) || (wanted.name === 'inet' && isBuiltIn(own, 'cidr'));
  if (!fits) throw unfit(`${name} takes ${wanted.name}, and not ${own.name}`, `give it a column of type ${wanted.name}`);
  return operandSql(arg, wanted, scope);
}

function arraySql(arg: Operand, name: string, scope: PredicateScope): string {
  const own = typeOf(arg, scope);
  if (own === undefined || !isArray(own)) throw unfit(`${name} takes a column that is an array`, 'give it an array column');
  return operandSql(arg, own, scope);
}

/** The years in which no unit, time zone or cast leaves the range of timestamps, whatever the session's time zone. */
const safeTimes = ["'4700-01-01 00:00:00+00 BC'", "'290000-01-01 00:00:00+00'"] as const;

/** A date is taken as its midnight, so that nothing depends on the session's time zone that need not. Times at the ends of time are unknown. */
function timeSql(arg: Operand, scope: PredicateScope): string {
  const own = typeOf(arg, scope);
  const isDate = own !== undefined && isBuiltIn(own, 'date');
  const type = isDate ? own : timeTypeOf(arg, scope);
  const value = operandSql(arg, type, scope);
  if (arg.kind === 'now') return value;
  const [first, last] = safeTimes.map((time) => `cast(${time} as ${typeSql(type)})`);
  const safe = `case when ${value} between ${first} and ${last} then ${value} end`;
  return isDate ? `cast(${safe} as "pg_catalog"."timestamp")` : safe;
}

function timeTypeOf(arg: Operand, scope: PredicateScope): SqlType {
  const own = typeOf(arg, scope) ?? timestamptzType;
  if (isBuiltIn(own, 'date')) return builtInType('timestamp', 'D');
  if (isBuiltIn(own, 'timestamp', 'timestamptz')) return own;
  throw unfit(`a time is needed, and ${own.name} is none`, 'give it a column of type date, timestamp or timestamptz');
}

function commonType(args: readonly Operand[], scope: PredicateScope): SqlType {
  const known = args.flatMap((arg) => (usesRow(arg) ? (typeOf(arg, scope) ?? []) : []));
  const [first] = known;
  if (first === undefined) return args.some((arg) => arg.kind === 'now') ? timestamptzType : textType;
  const other = known.find((type) => !sameType(type, first));
  if (other !== undefined) throw unfit(`coalesce takes values of one type, not ${first.name} and ${other.name}`, 'give it columns of one type');
  return first;
}

function literalOf(arg: Operand, name: string): string {
  if (arg.kind === 'literal') return arg.text;
  throw unfit(`${name} takes a literal here`, 'write value, such as {value: ","}');
}

function noted(sql: string, { known }: PredicateScope): string {
  known?.add(`${sql} is not null`);
  return sql;
}

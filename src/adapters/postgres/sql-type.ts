// Types as predicates see them: what a claim or literal is cast to, and which types may be compared with each other.
import { RowsealError } from '../../model/errors.ts';
import type { ObservedColumn } from '../../policy/observed.ts';
import { quoteName } from './quote.ts';

export interface SqlType {
  readonly schema: string;
  readonly name: string;
  /** `pg_type.typcategory`. */
  readonly category: string;
  /** Where the type's own comparison operators live. */
  readonly operatorSchema: string;
  /** Whether `pg_input_is_valid` catches whatever the type's input function may raise. */
  readonly softInput: boolean;
  /** Of an array its items' type, of a range the type it ranges over. */
  readonly element?: SqlType;
}

export function builtInType(name: string, category: string, element?: SqlType): SqlType {
  return { schema: 'pg_catalog', name, category, operatorSchema: 'pg_catalog', softInput: true, ...(element === undefined ? {} : { element }) };
}

export const textType = builtInType('text', 'S');
export const textArrayType = builtInType('_text', 'A', textType);
export const jsonbType = builtInType('jsonb', 'U');
export const timestamptzType = builtInType('timestamptz', 'D');

/** Every text is a valid value of these. */
const textual = new Set(['text', 'varchar', 'bpchar']);
/** Casting to these cuts silently, which would make different values equal; they are compared as text. */
const cutting = new Set(['name', 'char']);
const unordered = new Set(['json', 'jsonpath', 'xml', 'aclitem', 'refcursor', 'cid', 'xid', 'txid_snapshot', 'pg_snapshot']);
/** Types of a row have operators among each other that can't fail; numeric beside floating point could overflow. */
const families = [
  ['int2', 'int4', 'int8', 'numeric'],
  ['int2', 'int4', 'int8', 'float4', 'float8'],
  ['text', 'varchar', 'bpchar', 'name', 'char'],
  ['date', 'timestamp', 'timestamptz'],
  ['inet', 'cidr'],
] as const;

export function typeSql(type: { readonly schema: string; readonly name: string }): string {
  return `${quoteName(type.schema)}.${quoteName(type.name)}`;
}

/** The type to cast to when comparing with a column. Qualified by schema a type has no default modifier. */
export function columnType(column: ObservedColumn): SqlType {
  const { baseType, category, operatorSchema, softInput, element } = column;
  if (baseType.schema === 'pg_catalog' && cutting.has(baseType.name)) return textType;
  if (category === 'A' && element?.schema === 'pg_catalog' && cutting.has(element.name)) throw unfit(`column ${column.name} holds an array of ${element.name}`, 'compare a column of type text[] instead');
  return { ...baseType, category, operatorSchema, softInput, ...(element === undefined ? {} : { element }) };
}

export function isBuiltIn(type: SqlType, ...names: readonly string[]): boolean {
  return type.schema === 'pg_catalog' && names.includes(type.name);
}

export function isTextual(type: SqlType): boolean {
  return type.schema === 'pg_catalog' && textual.has(type.name);
}

export function isArray(type: SqlType): type is SqlType & { readonly element: SqlType } {
  return type.category === 'A' && type.element !== undefined;
}

export function sameType(a: SqlType, b: SqlType): boolean {
  return a.schema === b.schema && a.name === b.name;
}

/** Operators of a type outside pg_catalog (citext) are named by schema, or its `=` would silently be that of text. */
export function operatorSql(operator: string, { operatorSchema }: SqlType): string {
  return operatorSchema === 'pg_catalog' ? operator : `operator(${quoteName(operatorSchema)}.${operator})`;
}

/** Throws BadPredicate for a type without an order. */
export function requireOrdered(type: SqlType): void {
  if (type.schema !== 'pg_catalog' || (type.category !== 'G' && !unordered.has(type.name))) return;
  throw unfit(`values of type ${type.name} can't be compared`, 'compare another column, or one of its parts');
}

/** Throws BadPredicate for two types, neither of which can be cast here, that have no operators in common. */
export function requireComparable(a: SqlType, b: SqlType): void {
  if (sameType(a, b)) return;
  const builtIn = a.schema === 'pg_catalog' && b.schema === 'pg_catalog';
  if (builtIn && families.some((family) => [a, b].every((type) => family.some((name) => name === type.name)))) return;
  throw unfit(`${a.name} is compared with ${b.name}`, 'compare columns of one type');
}

export function unfit(message: string, next: string): RowsealError {
  return new RowsealError('BadPredicate', message, { next });
}

// What a predicate tree means, written a second time and without SQL: true, false, or undefined where it is unknown (DESIGN §3).
import type { Alternatives, Comparison, Items, Membership, Operand, Predicate, Term } from '../../src/policy/predicate.ts';
import { callFunction, functionType } from './functions.ts';
import { int4, type Json, jsonContains, jsonText, text, textArray, timestamptz, type Type, type Value } from './values.ts';

export type Row = Readonly<Record<string, Value>>;
export interface Table {
  readonly columns: Readonly<Record<string, Type>>;
  readonly rows: readonly Row[];
}

export interface World {
  /** As they were set: undefined, malformed, or JSON. */
  readonly claims: string | undefined;
  readonly settings: Readonly<Record<string, string>>;
  readonly role: string;
  readonly nowMs: number;
  readonly tables: Readonly<Record<string, Table>>;
}

/** Three-valued: undefined is unknown. */
type Truth = boolean | undefined;

interface Place {
  readonly world: World;
  readonly table: Table;
  readonly row: Row;
}

/** Whether the row of the table is admitted. */
export function admits(predicate: Predicate, table: string, row: Row, world: World): boolean {
  if (predicate.kind === 'sql') throw new Error('sql can only be evaluated by a database');
  return anyHolds(predicate.alternatives, { world, table: tableNamed(table, world), row });
}

function anyHolds(alternatives: Alternatives, place: Place): boolean {
  return alternatives.some((terms) => terms.every((term) => truthOf(term, place) === true));
}

function truthOf(term: Term, place: Place): Truth {
  const truth = term.kind === 'member' ? memberTruth(term, place) : comparisonTruth(term, place);
  return truth === undefined ? undefined : truth !== term.not;
}

/** Negated, whatever the lookup reads of the session must be known; a row counts only where its terms are known to hold. */
function memberTruth(member: Membership, place: Place): Truth {
  const { world } = place;
  if (member.not && !sessionKnown(member.where, { ...place, table: tableNamed(member.table.table, world) })) return undefined;
  const inner = tableNamed(member.table.table, world);
  const type = columnType(inner, member.column);
  const counted = inner.rows.filter((row) => member.where.length === 0 || anyHolds(member.where, { world, table: inner, row })).map((row) => row[member.column]);
  return amongTruth(valueOf(member.left, member.left.kind === 'column' ? typeOf(member.left, place) ?? type : type, place), counted, type, member.not);
}

function amongTruth(item: Value, items: readonly Value[], type: Type, not: boolean): Truth {
  if (item === undefined) return not || items.length > 0 ? undefined : false;
  if (items.some((other) => other !== undefined && type.compare(item as never, other as never) === 0)) return true;
  return items.includes(undefined) ? undefined : false;
}

function comparisonTruth(term: Comparison, place: Place): Truth {
  switch (term.kind) {
    case 'isNull':
      return isNullTruth(term.operand, place);
    case 'compare': {
      const type = commonType(term.left, term.right, place);
      const [left, right] = [valueOf(term.left, type, place), valueOf(term.right, type, place)];
      if (left === undefined || right === undefined) return undefined;
      const order = type.compare(left as never, right as never);
      return { Eq: order === 0, Ne: order !== 0, Lt: order < 0, Lte: order <= 0, Gt: order > 0, Gte: order >= 0 }[term.op];
    }
    case 'in': {
      const type = typeOf(term.left, place) ?? text;
      return amongTruth(valueOf(term.left, type, place), itemsOf(term.items, type, place, false), type, term.not);
    }
    case 'set':
      return setTruth(term, place);
  }
}

function isNullTruth(operand: Operand, place: Place): Truth {
  if (operand.kind !== 'claim') return valueOf(operand, typeOf(operand, place) ?? text, place) === undefined;
  const claims = claimsOf(place.world);
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
  return (claimAt(operand.path, place.world) ?? null) === null;
}

function setTruth({ op, left, right }: Extract<Comparison, { kind: 'set' }>, place: Place): Truth {
  const own = typeOf(left, place);
  if (own?.name === 'jsonb') {
    const [a, b] = [valueOf(left, own, place), right.kind === 'values' ? undefined : valueOf(right, own, place)];
    return a === undefined || b === undefined ? undefined : jsonContains(a as Json, b as Json);
  }
  if (own?.name === 'int4range') return rangeTruth(op, own, [left, right], place);
  const element = own?.element ?? elementOf(right, place);
  const [outer, inner] = [itemsOf(left, element, place, true), itemsOf(right, element, place, true)];
  if (isMissing(left, place) || isMissing(right, place)) return undefined;
  if (isUnknownArray(left, own, place) || isUnknownArray(right, right.kind === 'values' ? undefined : typeOf(right, place), place)) return undefined;
  const found = (item: Value): boolean => item !== undefined && outer.some((other) => other !== undefined && element.compare(item as never, other as never) === 0);
  if (op === 'Contains' ? inner.every(found) : inner.some(found)) return true;
  return [...outer, ...inner].includes(undefined) ? undefined : false;
}

function rangeTruth(op: 'Contains' | 'Overlaps', own: Type, [left, right]: readonly [Operand, Items], place: Place): Truth {
  if (right.kind === 'values') return undefined;
  const range = valueOf(left, own, place) as { lower: bigint; upper: bigint } | undefined;
  const whole = op === 'Overlaps' || typeOf(right, place)?.name === 'int4range';
  const other = valueOf(right, whole ? own : int4, place);
  if (range === undefined || other === undefined) return undefined;
  if (!whole) return range.lower <= (other as bigint) && (other as bigint) < range.upper;
  const { lower, upper } = other as { lower: bigint; upper: bigint };
  const empty = lower === upper;
  if (op === 'Contains') return empty || (range.lower <= lower && upper <= range.upper);
  return !empty && range.lower !== range.upper && range.lower < upper && lower < range.upper;
}

/** A claim that isn't there is no set at all, not even the empty one. */
function isMissing(side: Items, place: Place): boolean {
  if (side.kind === 'claim') return (claimAt(side.path, place.world) ?? null) === null;
  return side.kind === 'function' && !usesRow(side) && valueOf(side, typeOf(side, place) ?? text, place) === undefined;
}

/** A column that is an array and NULL: then there is nothing to look into. */
function isUnknownArray(side: Items, type: Type | undefined, place: Place): boolean {
  return side.kind === 'column' && type?.element !== undefined && place.row[side.name] === undefined;
}

function elementOf(right: Items, place: Place): Type {
  if (right.kind !== 'column' && right.kind !== 'function') return text;
  if (!usesRow(right)) return text;
  const type = typeOf(right, place) ?? text;
  return type.element ?? type;
}

/** Items of either side; what is a single value is a list of one. */
function itemsOf(items: Items, element: Type, place: Place, single: boolean): readonly Value[] {
  if (items.kind === 'values') return items.values.map((value) => element.parse(value));
  if (items.kind === 'claim') {
    const value = claimAt(items.path, place.world);
    if (Array.isArray(value)) return value.map((item: Json) => parsed(jsonText(item), element));
    return single && value !== undefined ? [parsed(jsonText(value), element)] : [undefined];
  }
  const type = typeOf(items, place);
  if (type?.element === undefined) return [valueOf(items, element, place)];
  const array = valueOf(items, type, place) as readonly Value[] | undefined;
  if (array === undefined) return [undefined];
  return items.kind === 'function' ? array.map((item) => parsed(item as string | undefined, element)) : array;
}

function parsed(value: string | undefined, type: Type): Value {
  return value === undefined ? undefined : type.parse(value);
}

function valueOf(operand: Operand, type: Type, place: Place): Value {
  switch (operand.kind) {
    case 'column':
      return place.row[operand.name];
    case 'claim':
      return claimValue(operand.path, type, place.world);
    case 'literal':
      return type.parse(operand.text);
    case 'currentRole':
      return type.parse(place.world.role);
    case 'setting':
      return parsed(place.world.settings[operand.name] || undefined, type);
    case 'now': {
      const { offset } = operand;
      const units = { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800, month: Number.NaN, year: Number.NaN };
      const moved = place.world.nowMs + (offset === undefined ? 0 : (offset.sign === '-' ? -1 : 1) * offset.amount * units[offset.unit] * 1000);
      return type.name === 'date' ? Math.floor(moved / 86_400_000) * 86_400_000 : moved;
    }
    case 'function': {
      const own = functionType(operand.name, operand.args.map((arg) => (usesRow(arg) ? typeOf(arg, place) : undefined)));
      const value = callFunction(operand.name, operand.args.map((arg) => valueOf(arg, operand.name === 'coalesce' ? own : (typeOf(arg, place) ?? text), place)));
      if (own.name === type.name || usesRow(operand) || value === undefined) return value;
      return type.parse(`${value as string | bigint | boolean}`);
    }
  }
}

function claimValue(path: readonly string[], type: Type, world: World): Value {
  const value = claimAt(path, world);
  if (value === undefined || value === null) return undefined;
  if (type.name === 'jsonb') return value;
  if (type.element === undefined || type.name === 'int4range') return parsed(jsonText(value), type);
  if (!Array.isArray(value)) return undefined;
  const { element } = type;
  const items = value.map((item: Json) => parsed(jsonText(item), element));
  return items.includes(undefined) ? undefined : items;
}

function claimsOf(world: World): Json | undefined {
  if (world.claims === undefined || world.claims === '' || world.claims.includes('\\u0000')) return undefined;
  try {
    return JSON.parse(world.claims) as Json;
  } catch {
    return undefined;
  }
}

function claimAt(path: readonly string[], world: World): Json | undefined {
  let at: Json | undefined = claimsOf(world);
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Object.hasOwn(at, key) ? (at as Record<string, Json>)[key] : undefined;
  }
  return at;
}

/** Whether each value of the session that the terms use can be had as the type it is compared as. */
function sessionKnown(where: Alternatives, place: Place): boolean {
  return where.flat().every((term) => {
    if (term.kind === 'member') {
      const inner = { ...place, table: tableNamed(term.table.table, place.world) };
      return known(term.left, typeOf(term.left, place) ?? columnType(inner.table, term.column), place) && sessionKnown(term.where, inner);
    }
    switch (term.kind) {
      case 'isNull':
        return term.operand.kind === 'setting' || (term.operand.kind === 'claim' ? isNullTruth(term.operand, place) !== undefined : known(term.operand, text, place));
      case 'compare': {
        const type = commonType(term.left, term.right, place);
        return known(term.left, type, place) && known(term.right, type, place);
      }
      case 'in': {
        const type = typeOf(term.left, place) ?? text;
        return known(term.left, type, place) && itemsKnown(term.items, type, place, false);
      }
      case 'set': {
        const element = typeOf(term.left, place)?.element ?? elementOf(term.right, place);
        return itemsKnown(term.left, element, place, true) && itemsKnown(term.right, element, place, true);
      }
    }
  });
}

function known(operand: Operand, type: Type, place: Place): boolean {
  if (operand.kind === 'function' && usesRow(operand)) return operand.args.every((arg) => known(arg, typeOf(arg, place) ?? text, place));
  return operand.kind === 'column' || operand.kind === 'literal' || operand.kind === 'now' || valueOf(operand, type, place) !== undefined;
}

function itemsKnown(items: Items, element: Type, place: Place, single: boolean): boolean {
  if (items.kind === 'values' || (items.kind !== 'claim' && usesRow(items))) return true;
  return !itemsOf(items, element, place, single).includes(undefined);
}

function commonType(left: Operand, right: Operand, place: Place): Type {
  const rigid = [left, right].find(usesRow);
  if (rigid !== undefined) return typeOf(rigid, place) ?? text;
  return typeOf(left, place) ?? typeOf(right, place) ?? text;
}

function typeOf(operand: Operand, place: Place): Type | undefined {
  switch (operand.kind) {
    case 'column':
      return columnType(place.table, operand.name);
    case 'now':
      return timestamptz;
    case 'function':
      return operand.name === 'string_to_array' ? textArray : functionType(operand.name, operand.args.map((arg) => (usesRow(arg) ? typeOf(arg, place) : undefined)));
    default:
      return undefined;
  }
}

function usesRow(operand: Operand): boolean {
  return operand.kind === 'column' || (operand.kind === 'function' && operand.args.some(usesRow));
}

function columnType(table: Table, name: string): Type {
  const type = table.columns[name];
  if (type === undefined) throw new Error(`no column ${name}`);
  return type;
}

function tableNamed(name: string, world: World): Table {
  const table = world.tables[name];
  if (table === undefined) throw new Error(`no table ${name}`);
  return table;
}

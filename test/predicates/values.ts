// PostgreSQL's types as far as the evaluator needs them: what text becomes a value, and how two values compare.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
/** A value in a form that `compare` understands; undefined is NULL, or unknown. */
export type Value = undefined | bigint | Json | readonly Value[] | { readonly lower: bigint; readonly upper: bigint };

export interface Type {
  readonly name: string;
  /** The value that a text is cast to; undefined where the cast fails. */
  readonly parse: (text: string) => Value;
  readonly compare: (a: never, b: never) => number;
  readonly element?: Type;
}

const order = (a: bigint | number | string | boolean, b: bigint | number | string | boolean): number => (a < b ? -1 : a > b ? 1 : 0);
const bytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
/** What PostgreSQL's C library calls space. */
const trimmed = (text: string): string => text.replaceAll(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
const withoutBlanks = (text: string): string => text.replace(/ +$/, '');

function integer(name: string, bits: number): Type {
  const limit = 1n << BigInt(bits - 1);
  return {
    name,
    parse: (text) => {
      if (!/^[+-]?[0-9]+$/.test(trimmed(text))) return undefined;
      const value = BigInt(trimmed(text).replace('+', ''));
      return value >= -limit && value < limit ? value : undefined;
    },
    compare: order,
  };
}

/** In ten-thousandths: enough for the values that the tests use. NaN is greater than everything, as in PostgreSQL. */
function parseNumeric(text: string): Value {
  const plain = trimmed(text);
  if (/^nan$/i.test(plain)) return Number.MAX_VALUE;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^([+-]?)([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]{1,3}))?$/.exec(plain) ?? [];
  if (whole === '' && fraction === '') return undefined;
  return Number(`${sign}${whole || '0'}.${fraction || '0'}e${exponent}`);
}

function parseUuid(text: string): Value {
  const inner = /^\{(.*)\}$/.exec(text)?.[1] ?? text;
  return /^([0-9a-f]{4}-?){8}$/i.test(inner) && !inner.endsWith('-') ? inner.replaceAll('-', '').toLowerCase() : undefined;
}

function parseBool(text: string): Value {
  const word = trimmed(text).toLowerCase();
  if (word === '') return undefined;
  const is = (full: string, least = 1) => full.startsWith(word) && word.length >= least;
  if (is('true') || is('yes') || is('on', 2) || word === '1') return true;
  return is('false') || is('no') || is('off', 2) || word === '0' ? false : undefined;
}

/** PostgreSQL reads dates out of many a text that is none to us; those cases are left out. */
export class Unsure extends Error {}

function requireSure(text: string): void {
  if (/[0-9]/.test(text) && !/^\d{4}-\d\d-\d\d/.test(text)) throw new Unsure(text);
}

function parseTimestamp(text: string): Value {
  requireSure(text);
  if (trimmed(text) === 'infinity') return Number.POSITIVE_INFINITY;
  if (trimmed(text) === '-infinity') return Number.NEGATIVE_INFINITY;
  if (/^\d{4}-\d\d-\d\d$/.test(text) && parseDate(text) !== undefined) throw new Unsure(text);
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

function parseDate(text: string): Value {
  requireSure(text);
  if (/^\d{4}-\d\d-\d\d./.test(text) || /infinity/.test(text)) throw new Unsure(text);
  const day = /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00:00Z`) : undefined;
  return day !== undefined && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text) ? day.getTime() : undefined;
}

function parseJson(text: string): Value {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function parseRange(text: string): Value {
  const [, from, low, high, to] = /^\s*([[(])\s*(-?\d+)\s*,\s*(-?\d+)\s*([\])])\s*$/.exec(text) ?? [];
  if (low === undefined || high === undefined || BigInt(low) > BigInt(high)) return undefined;
  const [lower, upper] = [BigInt(low) + (from === '(' ? 1n : 0n), BigInt(high) + (to === ']' ? 1n : 0n)];
  return lower < upper ? { lower, upper } : { lower: 0n, upper: 0n };
}

const moods = ['sad', 'ok', 'glad'];

export const text: Type = { name: 'text', parse: (value) => value, compare: bytes };
export const int4 = integer('int4', 32);
export const timestamptz: Type = { name: 'timestamptz', parse: parseTimestamp, compare: order };
export const bool: Type = { name: 'bool', parse: parseBool, compare: order };

function arrayOf(element: Type): Type {
  const compare = (a: readonly Value[], b: readonly Value[]): number => {
    for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
      const [x, y] = [a[index], b[index]];
      const compared = x === undefined || y === undefined ? order(x === undefined ? 1 : 0, y === undefined ? 1 : 0) : element.compare(x as never, y as never);
      if (compared !== 0) return compared;
    }
    return a.length - b.length;
  };
  return { name: `${element.name}[]`, parse: () => undefined, compare, element };
}

export const textArray = arrayOf(text);

export const types = {
  int4,
  int8: integer('int8', 64),
  numeric: { name: 'numeric', parse: parseNumeric, compare: order },
  text,
  varchar: { name: 'varchar', parse: (value: string) => value, compare: bytes },
  bpchar: { name: 'bpchar', parse: (value: string) => value, compare: (a: string, b: string) => bytes(withoutBlanks(a), withoutBlanks(b)) },
  uuid: { name: 'uuid', parse: parseUuid, compare: order },
  bool,
  mood: { name: 'mood', parse: (value: string) => (moods.includes(value) ? value : undefined), compare: (a: string, b: string) => moods.indexOf(a) - moods.indexOf(b) },
  timestamptz,
  date: { name: 'date', parse: parseDate, compare: order },
  jsonb: { name: 'jsonb', parse: parseJson, compare: (a: Json, b: Json) => (sameJson(a, b) ? 0 : 1) },
  int4range: { name: 'int4range', parse: parseRange, compare: () => 0, element: int4 },
  'text[]': textArray,
  'int4[]': arrayOf(int4),
} satisfies Readonly<Record<string, Type>>;

export type TypeName = keyof typeof types;

function sameJson(a: Json, b: Json): boolean {
  return jsonContains(a, b) && jsonContains(b, a) && (!Array.isArray(a) || !Array.isArray(b) || JSON.stringify(a) === JSON.stringify(b));
}

/** `a @> b` of jsonb. */
export function jsonContains(a: Json, b: Json, top = true): boolean {
  if (Array.isArray(a)) {
    if (Array.isArray(b)) return b.every((item: Json) => a.some((other: Json) => jsonContains(other, item, false)));
    return top && (b === null || typeof b !== 'object') && a.some((item: Json) => item === b);
  }
  if (typeof a === 'object' && a !== null && typeof b === 'object' && b !== null && !Array.isArray(b)) {
    const [outer, inner] = [a as Record<string, Json>, b as Record<string, Json>];
    return Object.entries(inner).every(([key, value]) => Object.hasOwn(outer, key) && jsonContains(outer[key] ?? null, value, false));
  }
  return a === b;
}

/** The text that `#>>` gives. */
export function jsonText(value: Json): string | undefined {
  if (value === null) return undefined;
  return typeof value === 'string' ? value : spaced(value);
}

function spaced(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => Buffer.byteLength(a) - Buffer.byteLength(b) || bytes(a, b));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}: ${spaced(inner)}`).join(', ')}}`;
}

// Casts of recognised values: admitted only where the term's own cast, which never fails, yields the same for whatever does not fail here.
import { Unrecognised } from './recognise-node.ts';
import type { Case, Value } from './recognise-scope.ts';
import { rawSetting } from './recognise-literal.ts';

/** The types whose input refuses the empty text: a setting that is '' is an error there, and unknown in a term. */
const refusesEmpty: ReadonlySet<string> = new Set('uuid int2 int4 int8 numeric float4 float8 bool date timestamp timestamptz time timetz interval inet cidr macaddr json jsonb'.split(' '));
const textual: ReadonlySet<string> = new Set(['text', 'varchar', 'unknown']);
/** Each holds every value of those before it, written alike. */
const wider = ['int2', 'int4', 'int8', 'numeric'];

export function isTextual(type: string): boolean {
  return textual.has(type);
}

/** How wide a whole number is; -1 for all else. */
export function widthOf(type: string): number {
  return wider.indexOf(type);
}

/** The value as another type. Throws Unrecognised where that changes more than its type. */
export function castValue(value: Value, type: string | undefined): Value {
  if (type === undefined) throw new Unrecognised('a cast has a modifier, or a type that could mean several');
  if (type === value.type) return value;
  if (isTextual(type) && isTextual(value.type)) return { ...value, type: value.type === 'unknown' ? type : 'text' };
  // Names and texts are compared as text; their order differs.
  if ((type === 'text' || type === 'name') && value.type === 'name') return value;
  const ofRow = value.cases.some(({ source }) => source !== undefined);
  if (ofRow) throw new Unrecognised('a column is cast');
  if (isTextual(value.type)) return { type, cases: value.cases.filter(({ part }) => !isEmptyObject(part, type)).map((each) => castCase(each, type)) };
  const kinds = value.cases.map(({ part }) => part.kind);
  if (widthOf(value.type) >= 0 && widthOf(type) > widthOf(value.type)) return { ...value, type };
  if ((value.type === 'numeric' || widthOf(value.type) >= 0) && type === 'float8' && kinds.every((kind) => kind === 'literal')) return { ...value, type };
  if (value.type === 'timestamptz' && (type === 'date' || type === 'timestamp') && kinds.every((kind) => kind === 'now')) return { ...value, type };
  throw new Unrecognised(`${value.type} is cast to ${type}`);
}

function castCase(each: Case, type: string): Case {
  const { part } = each;
  if (!refusesEmpty.has(type)) return type === 'name' ? fail('a text is cut to a name') : each;
  const setting = rawSetting(part);
  const guards = each.guards.filter(({ term }) => !isNotEmpty(term));
  if (type === 'json' || type === 'jsonb') return { guards, part: document(setting ?? (part.kind === 'setting' ? part.name : undefined)) };
  return { ...each, guards, part: setting === undefined ? part : { kind: 'setting', name: setting } };
}

/** No field of an empty object is known, as of none at all. */
function isEmptyObject(part: Case['part'], type: string): boolean {
  return (type === 'json' || type === 'jsonb') && part.kind === 'literal' && /^\s*\{\s*\}\s*$/.test(part.text);
}

function document(setting: string | undefined): Case['part'] {
  return setting === undefined ? fail('JSON comes from something else than a setting') : { kind: 'document', setting, path: [] };
}

function isNotEmpty(term: Case['guards'][number]['term']): boolean {
  return term.kind === 'compare' && term.op === 'Ne' && term.right.kind === 'literal' && term.right.text === '';
}

function fail(why: string): never {
  throw new Unrecognised(why);
}

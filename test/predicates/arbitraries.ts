// Random predicates as manifests write them, over a fixed schema, with rows and sessions that they have something in common with.
import fc from 'fast-check';
import type { Static } from 'typebox';
import type { predicate } from '../../src/model/schema/predicate.ts';
import { type Json, type TypeName, types, type Value } from './values.ts';
import type { Row } from './evaluator.ts';

export type PredicateSpec = Static<typeof predicate>;
type TermSpec = NonNullable<PredicateSpec['all']>[number];

/** Column types of the governed table, and of the two that lookups read; `owner` is of type name, which is compared as text. */
export const schema = {
  docs: {
    id: 'int4', n: 'int4', big: 'int8', amount: 'numeric', title: 'text', code: 'varchar', fixed: 'bpchar', owner: 'text', tenant: 'uuid', flag: 'bool',
    mood: 'mood', at: 'timestamptz', day: 'date', tags: 'text[]', nums: 'int4[]', doc: 'jsonb', span: 'int4range',
  },
  members: { person: 'text', team: 'int4', tenant: 'uuid', role: 'text' },
  teams: { team: 'int4', label: 'text' },
} as const satisfies Readonly<Record<string, Readonly<Record<string, TypeName>>>>;

export type TableName = keyof typeof schema;

/** Texts that are values of the type in the database's own form. */
const good: Readonly<Record<TypeName, readonly string[]>> = {
  int4: ['0', '1', '2', '-1', '7'],
  int8: ['0', '1', '2', '9007199254740993'],
  numeric: ['0', '1', '10.25', '2', '-1'],
  text: ['', 'a', 'A', 'acme', 'ä', '日本', "o'b", 'a,b', 'x y', '\\', '2', 'glad'],
  varchar: ['', 'a', 'A', 'acme', 'ä', '日本', 'ac'],
  bpchar: ['a', 'ab', 'abc', 'A'],
  uuid: ['11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222', 'abcdefab-cdef-abcd-efab-cdefabcdefab'],
  bool: ['true', 'false'],
  mood: ['sad', 'ok', 'glad'],
  timestamptz: ['2000-01-01T00:00:00Z', '2026-01-01T10:00:00+01:00', 'infinity', '2999-01-01T00:00:00Z'],
  date: ['2000-01-01', '2026-02-28', '2999-01-01'],
  jsonb: ['{"a": 1}', '{"a": 1, "b": ["x"]}', '[1, 2]', '1', '"a"', '{}'],
  int4range: ['[1,3)', '[0,10)', '[5,5)'],
  'text[]': [],
  'int4[]': [],
};

/** What a claim or setting may hold as well: too long, of the wrong type, near misses. */
const strange = ['', ' ', '1.0', '01', ' 2 ', '2147483648', 'acme-evil', 'abc  ', 'ABC', '10.254', '10.250', '1e1', 'TRUE', 'yes', 'maybe', 'junk', '2026-02-30', '{11111111-1111-1111-1111-111111111111}', 'a%', 'app', 'null', '[1,3)', '\u{1F600}', "';--"];
const claimTexts = [...new Set([...Object.values(good).flat(), ...strange])];

const pick = <T>(values: readonly T[]) => fc.constantFrom(...values);
const someKeys = ['a', 'b', 'list', 'deep'];

const scalarJson = fc.oneof(
  { weight: 4, arbitrary: pick<Json>(claimTexts) },
  { weight: 3, arbitrary: pick<Json>([0, 1, 2, -1, 7, 10.25, true, false, null]) },
);
const claimJson: fc.Arbitrary<Json> = fc.oneof(
  { weight: 3, arbitrary: scalarJson },
  { weight: 2, arbitrary: fc.array(scalarJson, { maxLength: 4 }) },
  { weight: 2, arbitrary: fc.array(pick<Json>(['acme', 'a', 'ä', 1, 2]), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.record({ b: scalarJson }) },
);

export const claims: fc.Arbitrary<string | undefined> = fc.oneof(
  { weight: 1, arbitrary: pick([undefined, '', '{', 'null', '[]', '[1]', '"a"', '{"a":"\\u0000"}', '{}']) },
  { weight: 9, arbitrary: fc.record({ a: claimJson, b: claimJson, list: claimJson, deep: claimJson }, { requiredKeys: [] }).map((value) => JSON.stringify(value)) },
);
export const settings = fc.record({ 'app.a': pick(claimTexts), 'app.list': pick(['', 'a', 'a,b', '1,2', '1,,x', 'acme,ä']) }, { requiredKeys: [] });

const claimPath = fc.oneof({ weight: 5, arbitrary: pick(someKeys.map((key) => [key])) }, { weight: 1, arbitrary: pick([['deep', 'b'], ['a', 'b', 'c'], ['missing']]) });

type Side = Pick<TermSpec, 'claim' | 'value' | 'otherColumn' | 'currentRole' | 'setting' | 'now' | 'otherFunction'>;
type Left = Pick<TermSpec, 'column' | 'claim' | 'function' | 'setting' | 'currentRole'>;

const ops = pick(['Eq', 'Ne', 'Lt', 'Lte', 'Gt', 'Gte'] as const);
const equality = pick(['Eq', 'Ne'] as const);
const not = fc.record({ not: fc.boolean() }, { requiredKeys: [] });
const span = fc.oneof(pick([{}, { plus: '1 day' }, { minus: '2 hours' }, { minus: '400 weeks' }, { plus: '30 seconds' }]));

function columnsOf(table: TableName, ...wanted: readonly TypeName[]): readonly string[] {
  return Object.entries(schema[table]).filter(([, type]) => wanted.length === 0 || wanted.includes(type)).map(([name]) => name);
}

const scalars: readonly TypeName[] = ['int4', 'int8', 'numeric', 'text', 'varchar', 'bpchar', 'uuid', 'bool', 'mood', 'timestamptz', 'date'];

function sideFor(type: TypeName, table: TableName): fc.Arbitrary<Side> {
  const others = columnsOf(table, type);
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ claim: claimPath }) },
    { weight: 3, arbitrary: good[type].length === 0 ? fc.record({ claim: claimPath }) : fc.record({ value: pick(good[type]) }) },
    { weight: 1, arbitrary: fc.record({ setting: pick(['app.a', 'app.unset']) }) },
    { weight: 1, arbitrary: others.length === 0 ? fc.record({ claim: claimPath }) : fc.record({ otherColumn: pick(others) }) },
    { weight: 1, arbitrary: type === 'text' ? fc.constant({ currentRole: true }) : fc.record({ claim: claimPath }) },
    { weight: 2, arbitrary: type === 'timestamptz' || type === 'date' ? fc.record({ now: span }) : fc.record({ claim: claimPath }) },
    { weight: 1, arbitrary: fc.record({ otherFunction: call(table, false) }) },
  );
}

type Call = NonNullable<TermSpec['function']>;

/** A call that returns text, or, of the row, an integer; over columns of the table or over the session alone. */
function call(table: TableName, ofRow: boolean): fc.Arbitrary<Call> {
  const source: fc.Arbitrary<Call['args'][number]> = ofRow
    ? pick(columnsOf(table, 'text', 'varchar', 'bpchar')).map((column) => ({ column }))
    : fc.oneof(claimPath.map((claim) => ({ claim })), pick(['app.a', 'app.list']).map((setting) => ({ setting })));
  const literal = pick(['a', ',', 'x', 'ä', '']).map((value) => ({ value }));
  const count = pick(['1', '2', '-1']).map((value) => ({ value }));
  return fc.oneof(
    fc.tuple(pick(['lower', 'upper', 'btrim'] as const), source).map(([name, first]) => ({ name, args: [first] })),
    fc.tuple(pick(['left', 'right'] as const), source, count).map(([name, first, second]) => ({ name, args: [first, second] })),
    fc.tuple(source, pick([',', 'b', '']).map((value) => ({ value })), count).map(([first, second, third]) => ({ name: 'split_part' as const, args: [first, second, third] })),
    fc.tuple(source, literal, literal).map(([first, second, third]) => ({ name: 'replace' as const, args: [first, second, third] })),
    fc.tuple(source, literal).map(([first, second]) => ({ name: 'coalesce' as const, args: [first, second] })),
  );
}

function compareTerm(table: TableName): fc.Arbitrary<TermSpec> {
  const columns = Object.entries(schema[table]).filter(([, type]) => (scalars as readonly string[]).includes(type));
  return pick(columns).chain(([column, type]) => fc.tuple(sideFor(type, table), ops, not).map(([side, op, negation]) => ({ column, op, ...side, ...negation })));
}

function sessionTerm(): fc.Arbitrary<TermSpec> {
  const left: fc.Arbitrary<Left> = fc.oneof(fc.record({ claim: claimPath }), fc.record({ setting: pick(['app.a', 'app.unset']) }), fc.record({ function: call('docs', false) }));
  const right = fc.oneof(fc.record({ value: pick(claimTexts) }), fc.record({ otherFunction: call('docs', false) }));
  return fc.tuple(left, right, ops, not).map(([first, second, op, negation]) => ({ ...first, op, ...second, ...negation }));
}

function functionTerm(table: TableName): fc.Arbitrary<TermSpec> {
  return fc.oneof(
    fc.tuple(call(table, true), sideFor('text', table), ops, not).map(([first, side, op, negation]) => ({ function: first, op, ...side, ...negation })),
    fc.tuple(pick(columnsOf(table, 'text', 'varchar')), pick(['0', '1', '2', '4']), ops).map(([column, value, op]) => ({ function: { name: 'length' as const, args: [{ column }] }, op, value })),
    fc.tuple(pick(columnsOf(table, 'text', 'varchar')), claimPath, not).map(([column, claim, negation]) => ({ function: { name: 'starts_with' as const, args: [{ column }, { claim }] }, op: 'Eq' as const, value: 'true', ...negation })),
  );
}

function inTerm(table: TableName): fc.Arbitrary<TermSpec> {
  const columns = Object.entries(schema[table]).filter(([, type]) => (scalars as readonly string[]).includes(type));
  return pick(columns).chain(([column, type]) => {
    const items = fc.oneof(
      fc.record({ values: fc.array(pick(good[type]), { minLength: 1, maxLength: 3 }) }),
      fc.record({ claim: claimPath }),
      fc.constant({ function: { name: 'string_to_array' as const, args: [{ setting: 'app.list' }, { value: ',' }] as Call['args'] } }),
    );
    return fc.tuple(items, not).map(([side, negation]) => ({ column, op: 'In' as const, ...side, ...negation }));
  });
}

function setTerm(): fc.Arbitrary<TermSpec> {
  const op = pick(['Contains', 'Overlaps'] as const);
  const array = fc.oneof(fc.constant(['tags', 'text', 'title'] as const), fc.constant(['nums', 'int4', 'n'] as const)).chain(([column, type, single]) =>
    fc.tuple(fc.oneof(sideFor(type, 'docs').filter((side) => side.otherColumn === undefined), fc.record({ values: fc.array(pick(good[type]), { minLength: 1, maxLength: 3 }) }), pick([{ otherColumn: column }, { otherColumn: single }]), fc.record({ claim: claimPath })), op).map(([side, name]) => ({ column, op: name, ...side })),
  );
  const claimed = fc.tuple(claimPath, fc.oneof(fc.record({ value: pick(claimTexts) }), pick(['tags', 'title', 'n', 'nums', 'tenant']).map((otherColumn) => ({ otherColumn })), fc.record({ values: fc.array(pick(claimTexts), { minLength: 1, maxLength: 2 }) })), op).map(([claim, side, name]) => ({ claim, op: name, ...side }));
  const other = fc.oneof(
    fc.record({ value: pick(good.jsonb) }).map((side) => ({ column: 'doc', op: 'Contains' as const, ...side })),
    fc.record({ claim: claimPath }).map((side) => ({ column: 'doc', op: 'Contains' as const, ...side })),
    fc.oneof(fc.record({ value: pick(good.int4) }), fc.record({ claim: claimPath }), fc.constant({ otherColumn: 'n' })).map((side) => ({ column: 'span', op: 'Contains' as const, ...side })),
    fc.oneof(fc.record({ value: pick(good.int4range) }), fc.record({ claim: claimPath })).map((side) => ({ column: 'span', op: 'Overlaps' as const, ...side })),
  );
  return fc.tuple(fc.oneof({ weight: 3, arbitrary: array }, { weight: 2, arbitrary: claimed }, { weight: 1, arbitrary: other }), not).map(([term, negation]) => ({ ...term, ...negation }));
}

function nullTerm(table: TableName): fc.Arbitrary<TermSpec> {
  return fc.tuple(fc.oneof(pick(columnsOf(table)).map((column) => ({ column })), claimPath.map((claim) => ({ claim })), pick(['app.a', 'app.unset']).map((setting) => ({ setting }))), not).map(([side, negation]) => ({ ...side, op: 'IsNull' as const, ...negation }));
}

function lookupTerm(table: 'members' | 'teams'): fc.Arbitrary<TermSpec> {
  return fc.oneof({ weight: 4, arbitrary: compareTerm(table) }, { weight: 1, arbitrary: inTerm(table) }, { weight: 1, arbitrary: functionTerm(table) }, { weight: 1, arbitrary: nullTerm(table) });
}

function memberTerm(): fc.Arbitrary<TermSpec> {
  const nested = fc.tuple(fc.array(compareTerm('teams').filter((term) => term.otherFunction === undefined && term.now === undefined), { minLength: 1, maxLength: 2 }), not).map(([all, negation]) => ({ column: 'team', member: { table: 'teams', column: 'team', where: { all } }, ...negation }));
  const inner = fc.oneof({ weight: 3, arbitrary: lookupTerm('members') }, { weight: 1, arbitrary: nested as fc.Arbitrary<TermSpec> });
  const alternative = fc.array(inner, { minLength: 1, maxLength: 2 });
  const where = fc.oneof(fc.constant({}), fc.record({ where: fc.record({ all: alternative }) }), fc.record({ where: fc.record({ any: fc.array(fc.record({ all: alternative }), { minLength: 1, maxLength: 2 }) }) }));
  const what = fc.oneof(
    pick([{ left: { column: 'n' }, column: 'team' }, { left: { column: 'tenant' }, column: 'tenant' }, { left: { column: 'title' }, column: 'person' }]),
    claimPath.map((claim) => ({ left: { claim }, column: 'person' })),
  );
  return fc.tuple(what, where, not).map(([{ left, column }, inside, negation]) => ({ ...left, member: { table: 'members', column, ...inside }, ...negation }) as TermSpec);
}

export const term: fc.Arbitrary<TermSpec> = fc.oneof(
  { weight: 5, arbitrary: compareTerm('docs') },
  { weight: 2, arbitrary: inTerm('docs') },
  { weight: 3, arbitrary: setTerm() },
  { weight: 3, arbitrary: memberTerm() },
  { weight: 2, arbitrary: functionTerm('docs') },
  { weight: 1, arbitrary: nullTerm('docs') },
  { weight: 1, arbitrary: sessionTerm() },
  { weight: 1, arbitrary: fc.tuple(equality, fc.oneof(fc.record({ value: pick(good.jsonb) }), fc.record({ claim: claimPath })), not).map(([op, side, negation]) => ({ column: 'doc', op, ...side, ...negation })) },
  { weight: 1, arbitrary: fc.tuple(pick(['tags', 'nums']), equality, claimPath, not).map(([column, op, claim, negation]) => ({ column, op, claim, ...negation })) },
);

export const predicateSpec: fc.Arbitrary<PredicateSpec> = fc.oneof(
  { weight: 4, arbitrary: fc.array(term, { minLength: 1, maxLength: 2 }).map((all) => ({ all })) },
  { weight: 1, arbitrary: fc.array(fc.record({ all: fc.array(term, { minLength: 1, maxLength: 2 }) }), { minLength: 2, maxLength: 3 }).map((any) => ({ any })) },
);

function cell(type: TypeName): fc.Arbitrary<string | null | readonly (string | null)[]> {
  if (type === 'text[]' || type === 'int4[]') {
    const element = type === 'text[]' ? 'text' : 'int4';
    return fc.option(fc.array(fc.option(pick(good[element]), { freq: 6 }), { maxLength: 3 }), { freq: 6 });
  }
  return fc.option(pick(good[type]), { freq: 5 });
}

/** A row as text, ready to be inserted. */
export type TextRow = Readonly<Record<string, string | null | readonly (string | null)[]>>;

export function rowsOf(table: TableName, count: number): fc.Arbitrary<readonly TextRow[]> {
  const cells = Object.fromEntries(Object.entries(schema[table]).map(([name, type]) => [name, cell(type)]));
  const rows = fc.array(fc.record(cells), { minLength: count, maxLength: count });
  return table === 'docs' ? rows.map((all) => all.map((row, index) => ({ ...row, id: String(index) }))) : rows;
}

export function typedRow(table: TableName, row: TextRow): Row {
  return Object.fromEntries(
    Object.entries(schema[table]).map(([name, type]): [string, Value] => {
      const value = row[name];
      if (value === null || value === undefined) return [name, undefined];
      if (typeof value === 'string') return [name, types[type].parse(value)];
      return [name, value.map((item) => (item === null ? undefined : types[type === 'text[]' ? 'text' : 'int4'].parse(item)))];
    }),
  );
}

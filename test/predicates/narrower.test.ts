// Whenever a predicate is said to be narrower, no row and no session is found that it admits and the other one doesn't.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNarrower } from '../../src/policy/narrower.ts';
import { parsePredicate } from '../../src/policy/parse-predicate.ts';
import { type Alternatives, type Comparison, mapMemberships, type Predicate, type Term } from '../../src/policy/predicate.ts';
import { claims, predicateSpec, type PredicateSpec, rowsOf, schema, settings, term, typedRow } from './arbitraries.ts';
import { admits, type Table, type World } from './evaluator.ts';
import { types, Unsure } from './values.ts';

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const facts = { isInteger: (column: string) => ['id', 'n', 'big', 'team'].includes(column) };
type Terms = NonNullable<PredicateSpec['all']>;

const tree = (spec: PredicateSpec): Predicate => parsePredicate(spec, 'public');
const one = (...all: Terms): Predicate => tree({ all });
const narrower = (next: Predicate, before: Predicate): boolean => isNarrower(next, before, facts);

describe('proven narrower', () => {
  const a: Terms[number] = { column: 'tenant', op: 'Eq', claim: ['t'] };
  const b: Terms[number] = { column: 'n', op: 'In', values: ['1', '2'] };
  const lookup = (role: readonly string[], not = false): Terms[number] => ({ column: 'n', not, member: { table: 'members', column: 'team', where: { all: [{ column: 'role', op: 'In', values: [...role] }] } } });
  const cases: readonly (readonly [string, Predicate, Predicate])[] = [
    ['more terms', one(a, b), one(a)],
    ['fewer alternatives', tree({ any: [{ all: [a] }] }), tree({ any: [{ all: [a] }, { all: [b] }] })],
    ['fewer values', one({ ...b, values: ['2'] }), one(b)],
    ['one of the values', one({ column: 'n', op: 'Eq', value: '2' }), one(b)],
    ['more values under not', one({ ...b, values: ['1', '2', '3'], not: true }), one({ ...b, not: true })],
    ['a stricter operator', one({ ...a, op: 'Lt' }), one({ ...a, op: 'Lte' })],
    ['not of the opposite', one({ ...a, op: 'Gte', not: true }), one({ ...a, op: 'Lte' })],
    ['a lower bound of an integer', one({ column: 'n', op: 'Lt', value: '9' }), one({ column: 'n', op: 'Lte', value: '10' })],
    ['values within a bound', one(b), one({ column: 'n', op: 'Gt', value: '0' })],
    ['a shorter time', one({ column: 'at', op: 'Gt', now: { minus: '1 day' } }), one({ column: 'at', op: 'Gte', now: { minus: '30 days' } })],
    ['what compares is not NULL', one(a), one({ column: 'tenant', op: 'IsNull', not: true })],
    ['a lookup of fewer rows', one(lookup(['x'])), one(lookup(['x', 'y']))],
    ['an exclusion of more rows', one(lookup(['x', 'y'], true)), one(lookup(['x'], true))],
    ['containing more', one({ column: 'tags', op: 'Contains', values: ['x', 'y'] }), one({ column: 'tags', op: 'Contains', values: ['y'] })],
    ['overlapping with fewer', one({ column: 'tags', op: 'Overlaps', value: 'x' }), one({ column: 'tags', op: 'Overlaps', values: ['x', 'y'] })],
    ['the same sql', tree({ sql: 'true' }), tree({ sql: 'true' })],
  ];

  it.each(cases)('%s', (_, next, before) => {
    expect(narrower(next, before)).toBe(true);
    expect(narrower(before, before)).toBe(true);
    // The record comes back from jsonb with its keys in another order.
    expect(narrower(next, reordered(before))).toBe(true);
    if (next.kind === 'tree') expect(narrower(before, next)).toBe(false);
  });

  it('is nothing else', () => {
    const refuted: readonly (readonly [Predicate, Predicate])[] = [
      [one(b), one(a)],
      [tree({ any: [{ all: [a] }, { all: [b] }] }), one(a)],
      [one({ ...a, claim: ['u'] }), one(a)],
      [one({ column: 'amount', op: 'Lt', value: '5' }), one({ column: 'amount', op: 'Lt', value: '10' })],
      [one({ column: 'at', op: 'Gt', now: { minus: '1 month' } }), one({ column: 'at', op: 'Gt', now: { minus: '30 days' } })],
      [tree({ sql: 'false' }), tree({ sql: 'true' })],
      [tree({ sql: 'true' }), one(a)],
    ];
    for (const [next, before] of refuted) expect(narrower(next, before)).toBe(false);
    const seen = one(lookup(['x']));
    const past = mapMemberships(seen, (member) => ({ ...member, past: true }));
    expect([narrower(past, seen), narrower(seen, past), narrower(past, past)]).toEqual([false, true, true]);
  });

  it(`is never contradicted by a row (seed ${seed})`, () => {
    let proven = 0;
    const rows = fc.record({ docs: rowsOf('docs', 12), members: rowsOf('members', 5), teams: rowsOf('teams', 3) });
    const sessions = fc.array(fc.record({ claims, settings }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(predicateSpec, term, fc.array(fc.nat(), { minLength: 6, maxLength: 6 }), fc.tuple(rows, sessions), (spec, extra, dice, [data, all]) => {
        const before = tree(spec);
        const next = changed(before, one(extra), dice);
        for (const [stronger, weaker] of [[next, before], [before, next]] as const) {
          if (!narrower(stronger, weaker)) continue;
          proven += 1;
          for (const session of all) refute({ stronger, weaker }, worldOf(data, session));
        }
      }),
      { seed, numRuns: Number(process.env['RUNS'] ?? 3000) },
    );
    expect(proven).toBeGreaterThan(300);
  }, 120_000);
});

function refute({ stronger, weaker }: { stronger: Predicate; weaker: Predicate }, world: World): void {
  for (const row of world.tables['docs']?.rows ?? []) {
    try {
      if (admits(stronger, 'docs', row, world)) expect(admits(weaker, 'docs', row, world), JSON.stringify([stronger, weaker, world.claims, world.settings])).toBe(true);
    } catch (error) {
      if (!(error instanceof Unsure)) throw error;
    }
  }
}

/** The predicate with one or two things about it changed, for better or worse. */
function changed(before: Predicate, extra: Predicate, dice: readonly number[]): Predicate {
  if (before.kind === 'sql' || extra.kind === 'sql') return before;
  const [how = 0, ...rest] = dice;
  const added = extra.alternatives.flat();
  const altered = before.alternatives.map((terms, index) => (index === (rest[0] ?? 0) % before.alternatives.length ? terms.map((each) => changedTerm(each, rest)) : terms));
  switch (how % 4) {
    case 0:
      return { kind: 'tree', alternatives: before.alternatives.map((terms) => [...terms, ...added]) };
    case 1:
      return { kind: 'tree', alternatives: [...before.alternatives, added] };
    case 2:
      return { kind: 'tree', alternatives: altered };
    default:
      return { kind: 'tree', alternatives: altered.map((terms) => [...terms, ...added]) };
  }
}

const ops = ['Eq', 'Ne', 'Lt', 'Lte', 'Gt', 'Gte'] as const;

function changedTerm(term: Term, dice: readonly number[]): Term {
  const [, what = 0, which = 0, count = 0] = dice;
  if (what % 6 === 5) return { ...term, not: !term.not };
  if (term.kind === 'member') return { ...term, where: changedWhere(term.where, dice) };
  return changedComparison(term, { op: ops[which % ops.length] ?? 'Eq', count });
}

function changedWhere(where: Alternatives, dice: readonly number[]): Alternatives {
  const [, what = 0] = dice;
  if (what % 3 === 0) return where.slice(1);
  if (what % 3 === 1) return where.map((terms) => (terms.length > 1 ? terms.slice(1) : terms));
  return where.map((terms) => terms.map((term) => changedTerm(term, dice.slice(1))));
}

function changedComparison(term: Comparison, { op, count }: { op: (typeof ops)[number]; count: number }): Comparison {
  const fewer = (values: readonly string[]): readonly string[] => (count % 2 === 0 && values.length > 1 ? values.slice(1) : [...values, String(count % 3)]);
  switch (term.kind) {
    case 'compare': {
      const integer = term.right.kind === 'literal' && term.left.kind === 'column' && facts.isInteger(term.left.name);
      if (term.right.kind === 'now') return { ...term, op, right: { kind: 'now', offset: { sign: count % 2 === 0 ? '-' : '+', amount: count % 5, unit: 'day' } } };
      return { ...term, op, right: integer ? { kind: 'literal', text: String((count % 5) - 1) } : term.right };
    }
    case 'in':
      return term.items.kind === 'values' ? { ...term, items: { kind: 'values', values: fewer(term.items.values) } } : term;
    case 'set':
      return term.right.kind === 'values' ? { ...term, op: count % 3 === 0 ? 'Contains' : term.op, right: { kind: 'values', values: fewer(term.right.values) } } : term;
    case 'isNull':
      return term;
  }
}

function reordered<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).reverse()) : inner,
  ) as T;
}

function worldOf(data: Readonly<Record<keyof typeof schema, readonly Parameters<typeof typedRow>[1][]>>, session: { claims: string | undefined; settings: Partial<Record<string, string>> }): World {
  const tableOf = (name: keyof typeof schema): Table => ({
    columns: Object.fromEntries(Object.entries(schema[name]).map(([column, type]) => [column, types[type]])),
    rows: data[name].map((row) => typedRow(name, row)),
  });
  const set = Object.fromEntries(Object.entries(session.settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  return { claims: session.claims, settings: set, role: 'app', nowMs: Date.parse('2026-01-02T00:00:00Z'), tables: { docs: tableOf('docs'), members: tableOf('members'), teams: tableOf('teams') } };
}

// Random declared states: a few RowPolicies with a few rules each, over the tables and roles of the world.
import fc from 'fast-check';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import type { TableId } from './world.ts';

type Rule = RowPolicySpec['rules'][number];
type Predicate = NonNullable<Rule['using']>;
type Term = NonNullable<Predicate['all']>[number];

export interface Declared {
  readonly name: string;
  readonly tables: readonly TableId[];
  readonly rules: readonly Rule[];
  readonly rowSecurity: 'Forced' | 'Enabled';
  readonly deletionPolicy: 'Retain' | 'FailClosed' | 'Restore';
}
export type State = readonly Declared[];

const tenantTerm = fc.record({ column: fc.constant('tenant'), op: fc.constantFrom('Eq' as const, 'Ne' as const), claim: fc.constant<string[]>(['t']), not: fc.boolean() });
const listTerm = fc.record({ column: fc.constant('tenant'), op: fc.constant('In' as const), values: fc.uniqueArray(fc.constantFrom('a', 'b', '', 'c'), { minLength: 1 }), not: fc.boolean() });
const amountTerm = fc.record({ column: fc.constant('amount'), op: fc.constantFrom('Lt' as const, 'Lte' as const, 'Gt' as const, 'Gte' as const), value: fc.constantFrom('10', '25', '50') });
const nullTerm = fc.record({ column: fc.constantFrom('tenant', 'team'), op: fc.constant('IsNull' as const), not: fc.boolean() });
const memberTerm = fc.boolean().map((not) => ({
  column: 'team',
  not,
  member: { table: 'members', column: 'team', where: { all: [{ column: 'user_id', op: 'Eq' as const, claim: ['sub'] }] } },
}));
const term: fc.Arbitrary<Term> = fc.oneof({ arbitrary: tenantTerm, weight: 4 }, { arbitrary: listTerm, weight: 2 }, { arbitrary: amountTerm, weight: 2 }, nullTerm, { arbitrary: memberTerm, weight: 2 });

const terms = fc.array(term, { minLength: 1, maxLength: 2 });
const predicate: fc.Arbitrary<Predicate> = fc.oneof(
  { arbitrary: terms.map((all) => ({ all })), weight: 3 },
  { arbitrary: fc.array(terms.map((all) => ({ all })), { minLength: 1, maxLength: 2 }).map((any) => ({ any })), weight: 1 },
);

const commands = fc.constantFrom<Rule['commands'][]>(['All'], ['All'], ['Select'], ['Update'], ['Delete'], ['Insert'], ['Select', 'Update'], ['Select', 'Insert', 'Delete'], ['Insert', 'Update']);
const rule: fc.Arbitrary<Rule> = fc
  .record({
    name: fc.constantFrom('one', 'two', 'three'),
    as: fc.oneof({ arbitrary: fc.constant('Permissive' as const), weight: 3 }, { arbitrary: fc.constant('Restrictive' as const), weight: 1 }),
    roles: fc.oneof({ arbitrary: fc.uniqueArray(fc.constantFrom<string[]>('app', 'other', 'third', 'keeper'), { minLength: 1, maxLength: 3 }), weight: 3 }, { arbitrary: fc.constant<string[]>(['PUBLIC']), weight: 1 }),
    commands,
    using: predicate,
    check: fc.option(predicate, { nil: undefined }),
  })
  .map(({ using, check, ...rest }): Rule => {
    if (rest.commands.every((command) => command === 'Insert')) return { ...rest, check: check ?? using };
    const writes = rest.commands.some((command) => ['All', 'Insert', 'Update'].includes(command));
    return { ...rest, using, ...(writes && check !== undefined ? { check } : {}) };
  });

const declared = (deletionPolicies: readonly Declared['deletionPolicy'][]): fc.Arbitrary<Declared> =>
  fc.record({
    name: fc.constantFrom('alpha', 'beta', 'gamma'),
    tables: fc.constantFrom<(readonly TableId[])[]>(['orders'], ['orders'], ['invoices'], ['orders', 'invoices'], ['members']),
    rules: fc.uniqueArray(rule, { minLength: 1, maxLength: 3, selector: ({ name }) => name }),
    rowSecurity: fc.constantFrom('Forced' as const, 'Enabled' as const),
    deletionPolicy: fc.constantFrom(...deletionPolicies),
  });

/** No, one or several RowPolicies. */
export function anyState(deletionPolicies: readonly Declared['deletionPolicy'][]): fc.Arbitrary<State> {
  return fc.uniqueArray(declared(deletionPolicies), { minLength: 1, maxLength: 3, selector: ({ name }) => name });
}

export function specOf({ tables, rules, rowSecurity, deletionPolicy }: Declared): RowPolicySpec {
  return { databaseRef: { name: 'db' }, target: { schema: 'public', tables: [...tables] }, rules: [...rules], rowSecurity, deletionPolicy, approval: 'Automatic' };
}

/** Each table to one RowPolicy: the first that names it. */
export function apart(state: State): State {
  const taken = new Set<TableId>();
  return state.flatMap((declared) => {
    const tables = declared.tables.filter((table) => !taken.has(table));
    for (const table of tables) taken.add(table);
    return tables.length === 0 ? [] : [{ ...declared, tables }];
  });
}

/** The same rules under names that no other state has, so that each is made anew and none becomes another in place. */
export function freshlyNamed(state: State, generation: number): State {
  return state.map((declared) => ({ ...declared, rules: declared.rules.map((each) => ({ ...each, name: `${each.name}-${generation}` })) }));
}

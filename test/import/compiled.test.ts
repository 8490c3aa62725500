// Our own SQL is read back as the very tree it was compiled from, or not at all; and `verbatim` is admitted only while it says what its terms say.
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { prepareParser } from '../../src/adapters/postgres/recognise-node.ts';
import { recognise } from '../../src/adapters/postgres/recognise.ts';
import { meaningsOf } from '../../src/adapters/postgres/verbatim.ts';
import { parsePredicate } from '../../src/policy/parse-predicate.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, never, type Rules, startFlow } from '../postgres-policy/harness.ts';

let postgres: Postgres;
let flow: Flow;
beforeAll(async () => {
  await prepareParser();
  postgres = await startPostgres();
  flow = await startFlow(postgres);
  await flow.admin.query(`create role app; create table members (team_id int, user_id text, org uuid, admin boolean); create function tenant() returns text language sql stable as $$ select current_setting('app.t', true) $$`);
});
afterAll(async () => {
  await flow?.close();
  await postgres?.stop();
});
beforeEach(() => flow.admin.query(`drop table if exists orders; create table orders (id int, tenant text, org uuid, team_id int, flag boolean, at timestamptz, state varchar(9))`));

type Using = NonNullable<Rules[number]['using']>;
type Term = NonNullable<Using['all']>[number];
type InnerTerm = NonNullable<NonNullable<NonNullable<Term['member']>['where']>['all']>[number];
const op = fc.constantFrom('Eq' as const, 'Ne' as const, 'Lt' as const, 'Gte' as const);
const not = fc.constantFrom<Term>({}, { not: true });
const session = fc.constantFrom<Term>({ claim: ['t'] }, { claim: ['a', 'b'] }, { setting: 'app.t' });
const comparison = fc.oneof(
  fc.tuple(fc.constantFrom('tenant', 'org', 'id', 'state'), op, session, not).map(([column, how, right, negated]): Term => ({ column, op: how, ...right, ...negated })),
  fc.tuple(fc.constantFrom(['tenant', 'a'], ['tenant', "it's"], ['id', '5'], ['id', '-1'], ['flag', 'true'], ['state', 'x']), op, not).map(([[column = '', value = ''], how, negated]): Term => ({ column, op: how, value, ...negated })),
  fc.tuple(fc.constantFrom('tenant', 'flag', 'org'), not).map(([column, negated]): Term => ({ column, op: 'IsNull', ...negated })),
  fc.tuple(fc.constantFrom<string[]>(['a'], ['a', 'b'], ['']), not).map(([values, negated]): Term => ({ column: 'tenant', op: 'In', values, ...negated })),
  fc.constantFrom<Term>({ claim: ['role'], op: 'Eq', value: 'admin' }, { setting: 'app.r', op: 'Eq', value: 'admin' }, { column: 'tenant', op: 'Eq', currentRole: true }, { column: 'tenant', op: 'Ne', otherColumn: 'state' }),
  fc.constantFrom<Term>({ column: 'at', op: 'Gt', now: { minus: '3 days' } }, { column: 'at', op: 'Lte', now: {} }, { column: 'tenant', op: 'In', claim: ['names'] }),
);
const where = fc.uniqueArray(fc.constantFrom<InnerTerm>({ column: 'user_id', op: 'Eq', claim: ['sub'] }, { column: 'admin', op: 'Eq', value: 'true' }, { column: 'org', op: 'Eq', setting: 'app.org' }), { minLength: 1, maxLength: 2, selector: (term) => JSON.stringify(term) });
const member = fc.tuple(where, not).map(([all, negated]): Term => ({ column: 'team_id', member: { table: 'members', column: 'team_id', where: { all } }, ...negated }));
const terms = fc.array(fc.oneof({ weight: 4, arbitrary: comparison }, { weight: 1, arbitrary: member }), { minLength: 1, maxLength: 3 });
const using = fc.oneof(terms.map((all): Using => ({ all })), fc.array(terms, { minLength: 2, maxLength: 3 }).map((any): Using => ({ any: any.map((all) => ({ all })) })));

it('reads what it compiled as what it was, or not at all', { timeout: 120_000 }, async () => {
  let read = 0;
  const runs = Number(process.env['ROWSEAL_TREES'] ?? 150);
  await fc.assert(
    fc.asyncProperty(using, async (spec) => {
      await flow.converge('orders', { rules: [{ name: 'r', roles: ['app'], commands: ['All'], using: spec }] });
      const observation = await flow.store.observe({ owner: 'shop/orders', tables: ['orders', 'members'].map((table) => ({ schema: 'public', table })), roles: [], texts: ['true'] }, never);
      const table = observation.tables.find((candidate) => candidate.table.table === 'orders') ?? expect.fail('no table');
      const meanings = meaningsOf(['app'], table, { desired: { governed: [] }, observation, claims: { claims: { type: 'Setting', setting: 'request.jwt.claims' }, versionNumber: observation.versionNumber } });
      const recognised = recognise(table.policies[0]?.using ?? '', meanings);
      if (!('predicate' in recognised)) return;
      read += 1;
      expect(recognised.predicate).toEqual(withoutDoubles(parsePredicate(spec, 'public')));
    }),
    { numRuns: runs },
  );
  expect(read).toBeGreaterThan(runs / 2);
});

/** The same term twice, or the same alternative, is read once. */
function withoutDoubles(predicate: ReturnType<typeof parsePredicate>): ReturnType<typeof parsePredicate> {
  if (predicate.kind === 'sql') return predicate;
  const once = <T>(items: readonly T[]): T[] => [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
  return { kind: 'tree', alternatives: once(predicate.alternatives.map((each) => once(each))) };
}

const kept: Rules[number] = {
  name: 'r', roles: ['app'], commands: ['All'], using: { all: [{ column: 'org', op: 'Eq', setting: 'app.org' }] }, verbatim: { using: `(org = (current_setting('app.org'::text, true))::uuid)` },
};
const texts = async () => (await flow.observe('orders', ['orders'])).tables[0]?.policies.map((policy) => policy.using);

it('keeps a text that says what its terms say', async () => {
  await flow.converge('orders', { rules: [kept] });
  expect(await texts()).toEqual([kept.verbatim?.using]);
  expect((await flow.planOf('orders', { rules: [kept] })).steps).toEqual([]);
  const { verbatim: _, ...compiled } = kept;
  expect((await flow.converge('orders', { rules: [compiled] })).steps.map(({ operation }) => operation.kind)).toEqual(['AlterPolicy']);
});

it.each([
  ['something wider', { using: 'true' }],
  ['another column', { using: `(org = (current_setting('app.t'::text, true))::uuid)` }],
  ['one more alternative', { using: `((org = (current_setting('app.org'::text, true))::uuid) OR flag)` }],
  ['two statements', { using: `true); drop table orders; --` }],
  ['an end of the clause', { using: `org = (current_setting('app.org', true))::uuid) with check (true` }],
  ['a comment', { using: `true -- org = (current_setting('app.org', true))::uuid` }],
  ['what is no expression', { using: ')' }],
  ['a function that is not there', { using: '(org = public.nobody())' }],
])('refuses %s', async (_what, verbatim) => {
  await expect(flow.planOf('orders', { rules: [{ ...kept, verbatim }] })).rejects.toMatchObject({ code: 'BadPredicate', message: expect.stringMatching(/verbatim using of rule r does not say/) });
});

it('notices that a function means something else', async () => {
  const through: Rules[number] = { ...kept, using: { all: [{ column: 'tenant', op: 'Eq', function: { name: 'current_setting', args: [{ value: 'app.t' }] } }] }, verbatim: { using: '(tenant = public.tenant())' } };
  await flow.converge('orders', { rules: [through] });
  expect((await flow.planOf('orders', { rules: [through] })).steps).toEqual([]);
  await flow.admin.query(`create or replace function tenant() returns text language sql stable as $$ select 'acme' $$`);
  await expect(flow.planOf('orders', { rules: [through] })).rejects.toMatchObject({ code: 'BadPredicate' });
});

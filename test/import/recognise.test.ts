// What the recogniser reads means the same: tried on random rows, claims and settings against the very expression it was read from.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareParser } from '../../src/adapters/postgres/recognise-node.ts';
import { recognise } from '../../src/adapters/postgres/recognise.ts';
import { meaningsOf } from '../../src/adapters/postgres/verbatim.ts';
import type { Observation } from '../../src/policy/observed.ts';
import { parsePredicate } from '../../src/policy/parse-predicate.ts';
import { predicateSpec } from '../../src/policy/predicate-spec.ts';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, never, startFlow } from '../postgres-policy/harness.ts';
import { database, recognisable, unrecognisable } from './expressions.ts';


let postgres: Postgres;
let flow: Flow;
let observation: Observation;
const texts = new Map<string, string>();
const ids = ['00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b'] as const;
const orders = () => observation.tables.find(({ table }) => table.table === 'orders') ?? expect.fail('no orders');
const meanings = () => meaningsOf(['app'], orders(), { desired: { governed: [] }, observation, claims: { claims: { type: 'Setting', setting: 'request.jwt.claims' }, versionNumber: observation.versionNumber } });
const observed = () => flow.store.observe({ owner: '', tables: ['orders', 'members', 'teams'].map((table) => ({ schema: 'public', table })), roles: ['app'], texts: ['true'] }, never);

beforeAll(async () => {
  await prepareParser();
  postgres = await startPostgres();
  flow = await startFlow(postgres);
  await flow.admin.query(database);
  for (const [index, text] of [...recognisable, ...unrecognisable].entries()) await flow.admin.query(`create policy p${index} on orders to app using (${text})`);
  observation = await observed();
  for (const [index, text] of [...recognisable, ...unrecognisable].entries()) texts.set(text, orders().policies.find(({ name }) => name === `p${index}`)?.using ?? '');
  // Policies were only there to be deparsed; from here on the expressions are tried by themselves.
  await flow.admin.query('alter table orders disable row level security');
  await flow.admin.query(`insert into teams values (1, '${ids[0]}', 'x'), (2, '${ids[1]}', 'a'), (3, null, null);
    insert into members values (1, '${ids[0]}', 'admin'), (2, '${ids[0]}', 'guest'), (2, '${ids[1]}', 'owner'), (null, '${ids[1]}', null), (3, null, 'admin')`);
});
afterAll(async () => {
  await flow?.close();
  await postgres?.stop();
});

it.each(unrecognisable)('does not take for terms what they can’t say: %s', (text) => {
  expect(recognise(texts.get(text) ?? '', meanings())).toHaveProperty('why');
});

const text = fc.option(fc.constantFrom('', 'a', 'A', 'b', 'x', 'app', 'admin', 'é'), { nil: null });
const uuid = fc.option(fc.constantFrom(...ids), { nil: null });
const int = fc.option(fc.constantFrom(1, 2, 3, 4, 12345), { nil: null });
const row = fc.record({
  id: int, big: fc.option(fc.constantFrom('1', '3', '12345678902'), { nil: null }), tenant_id: uuid, tenant: text, state: fc.option(fc.constantFrom('a', 'b', ''), { nil: null }), mood: fc.option(fc.constantFrom('ok', 'bad'), { nil: null }),
  flag: fc.option(fc.boolean(), { nil: null }), team_id: int, at: fc.option(fc.constantFrom('2020-01-01', '2100-01-01'), { nil: null }), day: fc.option(fc.constantFrom('2020-01-01', '2100-01-01'), { nil: null }),
  amount: fc.option(fc.constantFrom('2.5', '9.99', '10'), { nil: null }), code: fc.option(fc.constantFrom('ab', 'abc'), { nil: null }), owner: fc.option(fc.constantFrom('app', 'other'), { nil: null }),
});
const claims = fc.record({ sub: fc.constantFrom(...ids, '', null, 'no uuid'), org: fc.constantFrom(...ids, null), role: fc.constantFrom('admin', 'staff', '', null, 5), tenant: fc.constantFrom('a', '', null, 'é'), meta: fc.constantFrom({ tenant: 'a' }, {}, 'a', null), orgs: fc.constantFrom([ids[0]], [], null, [null, ids[1]]), names: fc.constantFrom(['a', 'b'], ['x', null], []) }, { requiredKeys: [] });
const setting = (...values: string[]) => fc.option(fc.constantFrom('', ...values), { nil: undefined });
const session = fc.record({
  'request.jwt.claims': fc.option(fc.oneof(claims.map((value) => JSON.stringify(value)), fc.constantFrom('', 'null', '[]')), { nil: undefined }),
  'request.jwt.claim': setting('{"role":"admin","meta":{"tenant":"b"}}'), 'request.jwt.claim.sub': setting(...ids), 'request.jwt.claim.role': setting('admin'), 'app.t': setting('a', 'b', ids[0]), 'app.r': setting('admin'), 'app.n': setting('1', '3', '12345'),
});

/** Which rows the expression admits as the role `app`; undefined where that is an error. */
async function admitted(expression: string): Promise<string | undefined> {
  await flow.admin.query('savepoint tried');
  try {
    const { rows } = await flow.admin.query<{ ids: string }>(`select coalesce(json_agg(seq order by seq), '[]')::text as ids from tried as orders where (${expression})`);
    return rows[0]?.ids;
  } catch {
    return undefined;
  } finally {
    await flow.admin.query('rollback to tried');
  }
}

describe('reads', () => {
  it.each(recognisable)('%s', { timeout: 60_000 }, async (source) => {
    const expression = texts.get(source) ?? '';
    const recognised = recognise(expression, meanings());
    if (source.includes('t.name = orders.tenant')) return;
    if (!('predicate' in recognised) || recognised.predicate.kind !== 'tree') return expect.fail(JSON.stringify(recognised));
    const using = predicateSpec(recognised.predicate.alternatives, 'public');
    const { steps } = await flow.planOf('tried', { rules: [{ name: 'r', roles: ['app'], commands: ['All'], using }] }, [{ schema: 'public', table: 'members' }]);
    const policy = steps.flatMap(({ operation }) => (operation.kind === 'CreatePolicy' ? [operation.policy] : []))[0];
    for (const helper of policy?.functions ?? []) await flow.admin.query(`${helper.definition}; grant execute on function rowseal.${helper.name} to app`);
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 5, maxLength: 20 }), fc.array(session, { minLength: 6, maxLength: 6 }), async (rows, sessions) => {
        await flow.admin.query('begin');
        try {
          await flow.admin.query('create temporary table tried (like orders) on commit drop; alter table tried add seq serial; grant all on tried to app; grant all on sequence tried_seq_seq to app');
          await flow.admin.query(`insert into tried (${Object.keys(rows[0] ?? {}).join(', ')}) select ${Object.keys(rows[0] ?? {}).join(', ')} from json_populate_recordset(null::orders, $1)`, [JSON.stringify(rows)]);
          await flow.admin.query(`set local role app`);
          for (const settings of sessions) {
            await flow.admin.query('savepoint settings');
            for (const [name, value] of Object.entries(settings)) if (value !== undefined) await flow.admin.query('select set_config($1, $2, true)', [name, value]);
            const original = await admitted(expression);
            if (original !== undefined) {
              compared += 1;
              expect([settings, await admitted(policy?.using ?? 'false')]).toEqual([settings, original]);
            }
            await flow.admin.query('rollback to settings');
          }
        } finally {
          await flow.admin.query('rollback');
        }
      }),
      { numRuns: Number(process.env['ROWSEAL_SESSIONS'] ?? 8) },
    );
    expect(compared).toBeGreaterThan(0);
  });
});

it('says in a manifest what it has read, and reads the same from it', () => {
  for (const source of recognisable) {
    const recognised = recognise(texts.get(source) ?? '', meanings());
    if ('predicate' in recognised && recognised.predicate.kind === 'tree') expect(parsePredicate(predicateSpec(recognised.predicate.alternatives, 'public'), 'public')).toEqual(recognised.predicate);
  }
});

it('believes a function only as its body is now', async () => {
  const expression = texts.get('tenant_id = auth.uid()') ?? '';
  const before = recognise(expression, meanings());
  await flow.admin.query('begin');
  await flow.admin.query(`create or replace function auth.uid() returns uuid language sql stable as $$ select '${ids[0]}'::uuid $$`);
  await flow.admin.query('commit');
  observation = await observed();
  expect(recognise(expression, meanings())).not.toEqual(before);
  await flow.admin.query(`create or replace function auth.uid() returns uuid language sql stable set app.t = 'a' as $$ select current_setting('app.t')::uuid $$`);
  observation = await observed();
  expect(recognise(expression, meanings())).toHaveProperty('why');
});

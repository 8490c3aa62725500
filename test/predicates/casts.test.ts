// Casts at their edges: what a claim or setting holds is never equal to what it is not, and never an error to the client.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installationOf, type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, forget, type Rules, startFlow } from '../postgres-policy/harness.ts';

interface Case {
  /** As declared. */
  readonly type: string;
  readonly value: string;
  /** Claims that are the value. */
  readonly equal: readonly unknown[];
  /** Claims that are not, however close they come. */
  readonly other: readonly unknown[];
}

const junk = ['', ' ', 'x', 'null', '{}', '[]', "'", '\\', '\u{1F600}', 'NaN', '9'.repeat(400), '1e999999', {}, [], [null], null, true];
const uuid = '11111111-2222-3333-4444-555555555555';
const cases: readonly Case[] = [
  { type: 'varchar(4)', value: 'acme', equal: ['acme'], other: ['acme-evil', 'acme ', 'ACME', 'acm', ['acme']] },
  { type: 'char(4)', value: 'acme', equal: ['acme', 'acme  '], other: ['acmee', 'acme-evil'] },
  { type: 'bit(3)', value: '101', equal: ['101', 'B101'], other: ['1011', '10', '1', '5'] },
  { type: 'varbit(3)', value: '101', equal: ['101'], other: ['1011', '1010'] },
  { type: 'numeric(6,2)', value: '10.25', equal: [10.25, '10.25', '10.250', ' 10.25 '], other: [10.254, '10.254', '10.249', '1025', '10,25'] },
  { type: 'int4', value: '7', equal: [7, '7', ' 7 '], other: [7.4, '7.0', '4294967303', '7x', '٧'] },
  { type: 'int2', value: '7', equal: ['7'], other: ['65543'] },
  { type: 'float4', value: '0.5', equal: ['0.5'], other: ['0.51', '1e39'] },
  { type: 'uuid', value: uuid, equal: [uuid, `{${uuid}}`, uuid.replaceAll('-', '')], other: [uuid.slice(1), `${uuid}0`, `${uuid} or true`] },
  { type: 'bool', value: 'false', equal: [false, 'f', 'off'], other: ['fals e', '2'] },
  { type: 'name', value: 'a'.repeat(63), equal: ['a'.repeat(63)], other: ['a'.repeat(64), 'a'.repeat(62)] },
  { type: '"char"', value: 'a', equal: ['a'], other: ['ab', 'abc'] },
  { type: 'timestamp(0)', value: '2026-01-01 10:00:00', equal: ['2026-01-01 10:00:00'], other: ['2026-01-01 10:00:00.4', '2026-13-01', '2026-01-01 25:00'] },
  { type: 'date', value: '2026-02-28', equal: ['2026-02-28'], other: ['2026-02-29', '2026-02-30', '0000-00-00'] },
  { type: 'interval day', value: '1 day', equal: ['1 day'], other: ['1 day 1 hour'] },
  { type: 'short', value: 'acme', equal: ['acme'], other: ['acme-evil', 'acme '] },
  { type: 'positive', value: '7', equal: ['7'], other: ['-7', '0'] },
  { type: 'mood', value: 'glad', equal: ['glad'], other: ['GLAD', 'gla', 'furious'] },
  { type: 'citext', value: 'Acme', equal: ['acme', 'ACME'], other: ['acme-evil', 'acm'] },
  { type: 'text collate "C"', value: 'acme', equal: ['acme'], other: ['Acme'] },
  { type: 'inet', value: '10.0.0.1', equal: ['10.0.0.1', '10.0.0.1/32'], other: ['10.0.0.1/24', '10.0.0.256'] },
  { type: 'bytea', value: '\\x00ff', equal: ['\\x00ff'], other: ['\\x00f', '\\x00FF00', '\\777'] },
  { type: 'jsonb', value: '{"a": 1}', equal: [{ a: 1 }], other: ['{"a": 1}', { a: 2 }, [1]] },
  { type: 'int4[]', value: '{1,2}', equal: [[1, 2], ['1', '2']], other: [[2, 1], [1, 2, null], [1, 'x'], '{1,2}', [[1, 2]], [1]] },
  { type: 'text[]', value: '{a,NULL}', equal: [], other: [['a'], ['a', null], ['a', 'NULL'], ['a', '']] },
  { type: 'int4range', value: '[1,3)', equal: ['[1,3)', '[1,2]'], other: ['[1,3', '[3,1)', '(1,3)'] },
  { type: 'macaddr', value: '08:00:2b:01:02:03', equal: ['08-00-2b-01-02-03'], other: ['08:00:2b:01:02', '08:00:2b:01:02:03:04'] },
  { type: 'tsvector', value: "'a' 'b'", equal: ['b a'], other: ["'a", 'a'] },
  { type: 'pg_lsn', value: '0/1', equal: ['0/1'], other: ['0/G', '1'] },
  { type: 'money', value: '10.25', equal: ['$10.25'], other: ['ten', '92233720368547758.08'] },
];

const setup = `create role app; create extension citext; create type mood as enum ('glad', 'sad'); create domain short as varchar(4);
  create domain positive as int4 check (value > 0 and 1 / value < 2)`;

describe.each([['15', 15], ['18', 18]] as const)('on PostgreSQL %s', (_, major) => {
  let postgres: Postgres;
  let flow: Flow;
  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    flow = await startFlow(postgres);
    await flow.admin.query(setup);
  });
  afterAll(async () => {
    await flow?.close();
    await postgres?.stop();
  });
  const rules = (term: NonNullable<NonNullable<Rules[number]['using']>['all']>[number]): Rules => [{ name: 'r', roles: ['app'], commands: ['Select'], using: { all: [term] } }];
  const seen = async (claim: unknown): Promise<number> => (await flow.see('app', JSON.stringify({ c: claim, list: [claim] }), 'select from orders')).length;

  it.each(cases)('$type', async ({ type, value, equal, other }) => {
    await flow.admin.query(`drop table if exists orders; create table orders (v ${type}); grant select on orders to app`);
    await flow.admin.query(`insert into orders values ('${value.replaceAll("'", "''")}'), (null)`);
    await flow.converge('orders', { rules: rules({ column: 'v', op: 'Eq', claim: ['c'] }) });
    for (const claim of equal) expect(await seen(claim), JSON.stringify(claim)).toBe(1);
    for (const claim of [...other, ...junk.filter((each) => !equal.includes(each))]) expect(await seen(claim), JSON.stringify(claim)).toBe(0);
    await flow.converge('orders', { rules: rules({ column: 'v', op: 'Eq', setting: 'app.v' }) });
    for (const text of ['', 'junk', ...other.filter((claim) => typeof claim === 'string')]) {
      const rows = await flow.see('app', undefined, `select from orders, set_config('app.v', '${text.replaceAll("'", "''")}', true)`);
      // As text an array or JSON is what it says; as a claim it would have to be an array.
      if (!/\[\]$|json/.test(type)) expect(rows.length, text).toBe(0);
    }
    if (type.endsWith('[]')) return;
    await flow.converge('orders', { rules: rules({ column: 'v', op: 'In', claim: ['list'] }) });
    for (const claim of equal.filter((each) => typeof each !== 'object')) expect(await seen(claim), `in ${JSON.stringify(claim)}`).toBe(1);
    for (const claim of other.filter((each) => typeof each !== 'object')) expect(await seen(claim), `in ${JSON.stringify(claim)}`).toBe(0);
    await flow.converge('orders', { rules: rules({ column: 'v', op: 'Eq', claim: ['c'], not: true }) });
    for (const claim of [...equal, null]) expect(await seen(claim), `not ${JSON.stringify(claim)}`).toBe(0);
  });

  it('says before anything is applied which literal does not fit', async () => {
    await flow.admin.query(`${forget} drop table if exists orders; create table orders (id int4, tenant uuid, mood mood, tags int4[], n positive)`);
    const bad = [
      { column: 'id', op: 'Eq', value: 'x' },
      { column: 'id', op: 'In', values: ['1', '2147483648'] },
      { column: 'tenant', op: 'Eq', value: 'none' },
      { column: 'mood', op: 'Eq', value: 'furious' },
      { column: 'tags', op: 'Contains', value: 'a' },
    ] as const;
    for (const term of bad) {
      await expect(flow.planOf('orders', { rules: rules(term as Parameters<typeof rules>[0]) }), JSON.stringify(term)).rejects.toMatchObject({ code: 'BadPredicate', object: 'rule r' });
    }
    const { rows } = await flow.admin.query(`select relrowsecurity from pg_class where relname = 'orders'`);
    expect(rows).toEqual([{ relrowsecurity: false }]);
    // The base type's values are what counts, not the domain's.
    await flow.planOf('orders', { rules: rules({ column: 'n', op: 'Eq', value: '-1' }) });
  });

  it('refuses terms whose types have nothing in common, naming rule and types', async () => {
    await flow.admin.query('drop table if exists orders, members; create table orders (id int4, tenant uuid, at timestamptz, doc json, tags text[], title text); create table members (person text)');
    const bad = [
      [{ column: 'id', op: 'Eq', otherColumn: 'tenant' }, /int4.*uuid/],
      [{ column: 'title', op: 'Gt', now: {} }, /now.*text/],
      [{ column: 'doc', op: 'Eq', value: '{}' }, /json/],
      [{ column: 'title', op: 'Contains', value: 'x' }, /Contains.*text/],
      [{ column: 'id', op: 'Overlaps', claim: ['ids'] }, /Overlaps.*int4/],
      [{ column: 'tags', op: 'In', claim: ['tags'] }, /single value/],
      [{ function: { name: 'lower', args: [{ column: 'id' }] }, op: 'Eq', value: 'x' }, /lower takes text/],
      [{ function: { name: 'split_part', args: [{ column: 'title' }, { value: ',' }, { value: '0' }] }, op: 'Eq', value: 'x' }, /"0"/],
      [{ function: { name: 'split_part', args: [{ column: 'title' }, { column: 'title' }, { value: '1' }] }, op: 'Eq', value: 'x' }, /literal/],
      [{ function: { name: 'date_trunc', args: [{ value: 'fortnight' }, { column: 'at' }] }, op: 'Lt', now: {} }, /fortnight/],
      [{ function: { name: 'left', args: [{ column: 'title' }] }, op: 'Eq', value: 'x' }, /left takes 2/],
      [{ column: 'id', member: { table: 'members', column: 'person' } }, /int4.*text/],
    ] as const;
    for (const [term, message] of bad) {
      await expect(flow.planOf('orders', { rules: rules(term as unknown as Parameters<typeof rules>[0]) }), JSON.stringify(term)).rejects.toMatchObject({ code: 'BadPredicate', message: expect.stringMatching(message) });
    }
  });

  it('never fails at the ends of time, nor over two collations', async () => {
    await flow.admin.query(`drop table if exists orders, members; create table orders (id int, at timestamptz, local timestamp, day date, a text collate "C", b text collate "POSIX", n name);
      create table members (who text collate "POSIX"); grant select on orders, members to app; insert into members values ('x');
      insert into orders values (1, '4714-11-24 00:00:00+00 BC', '4714-11-24 BC', '4714-11-24 BC', 'x', 'x', 'x'), (2, '294276-12-31 23:59:59+00', '294276-12-31 23:59:59', '5874897-12-31', 'y', 'y', 'y'),
        (3, 'infinity', '-infinity', 'infinity', 'y', 'y', 'y'), (4, '2026-05-17 10:00+00', '2026-05-17 10:00', '2026-05-17', 'y', 'y', 'y')`);
    const ids = async () => (await flow.see('app', '{"t":"4714-11-24 00:00:00+00 BC","who":"x"}', 'select id from orders order by id')).map((row) => row['id']);
    for (const column of ['at', 'local', 'day']) {
      for (const unit of ['minute', 'week', 'month', 'year']) {
        const call = (name: 'date_trunc' | 'date_part') => ({ name, args: [{ value: unit }, { column }] });
        await flow.converge('orders', { rules: rules({ function: call('date_part'), op: 'Gte', value: '-1000000' }) });
        for (const zone of ['UTC', 'Pacific/Apia', 'America/New_York']) {
          await flow.admin.query(`set timezone = '${zone}'`);
          expect(await ids(), `${column} ${unit}`).toEqual([4]);
        }
        await flow.converge('orders', { rules: rules({ function: call('date_trunc'), op: 'Lte', now: { plus: '1000 years' } }) });
        expect(await ids(), `${column} ${unit}`).toEqual([4]);
      }
    }
    await flow.converge('orders', { rules: rules({ column: 'at', op: 'Gt', otherFunction: { name: 'date_trunc', args: [{ value: 'year' }, { claim: ['t'] }] } }) });
    expect(await ids()).toEqual([]);
    for (const column of ['a', 'b', 'n']) {
      await flow.converge('orders', { rules: rules({ column, member: { table: 'members', column: 'who', where: { all: [{ column: 'who', op: 'Eq', claim: ['who'] }] } } }) });
      expect(await ids(), column).toEqual([1]);
    }
    for (const [column, otherColumn] of [['a', 'b'], ['b', 'n']] as const) {
      await expect(flow.planOf('orders', { rules: rules({ column, op: 'Eq', otherColumn }) })).rejects.toMatchObject({ code: 'BadPredicate', message: expect.stringContaining('collation') });
    }
  });

  it('compares a role with a column of another collation', async () => {
    await flow.admin.query(`drop table if exists orders; create table orders (owner text collate "POSIX", who text); grant select on orders to app; insert into orders values ('app', 'app')`);
    for (const column of ['owner', 'who']) {
      await flow.converge('orders', { rules: rules({ column, op: 'Eq', currentRole: true }) });
      expect((await flow.see('app', undefined, 'select from orders')).length).toBe(1);
    }
  });
});

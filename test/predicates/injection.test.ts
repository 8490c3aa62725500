// Names, literals, claim paths and arguments that try to be SQL: they are what they are, and nothing else happens.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../parts/postgres.ts';
import { type Flow, type Rules, startFlow } from '../postgres-policy/harness.ts';

let postgres: Postgres;
let flow: Flow;
beforeAll(async () => {
  postgres = await startPostgres();
  flow = await startFlow(postgres);
  await flow.admin.query('create role app');
});
afterAll(async () => {
  await flow?.close();
  await postgres?.stop();
});

type Term = NonNullable<NonNullable<Rules[number]['using']>['all']>[number];
const rules = (...all: Term[]): Rules => [{ name: 'r', roles: ['app'], commands: ['Select'], using: { all } }];

const hostile = [
  `'`, `''`, `"`, `""`, `\\`, `\\'`, `';--`, `"; drop table canary; --`, `'; drop table canary; --`, `') or true --`, `") or true --`, `*/ or true /*`, `$$`, `$1`, `$2`, `:x`, `%s`, `%I`, `{}`, `\n--\n`,
  `E'\\''`, `U&"\\0041"`, `ﬀ\u202E\u0000`.replace('\u0000', ''), `é`, `\u{1F600}`, `${'x'.repeat(62)}"`, 'ä'.repeat(31), `x`.repeat(63), ` lead`, `select`, `m`, `c`, `v`, `i`, `item`, `value`,
];
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;

beforeEach(() => flow.admin.query(`drop table if exists canary; create table canary (x int)`));
const intact = async () => expect((await flow.admin.query(`select count(*)::int as n from pg_class where relname = 'canary'`)).rows).toEqual([{ n: 1 }]);

describe('hostile text', () => {
  it.each(hostile)('as the name of columns and tables: %j', async (name) => {
    await flow.admin.query(`drop table if exists orders, members cascade; create table orders (${quoted(name)} text, plain text); drop table if exists ${quoted(name)} cascade;
      create table ${quoted(name)} (${quoted(name)} text, who text); grant select on orders, ${quoted(name)} to app;
      insert into orders values ('a', 'a'), ('b', 'a'); insert into ${quoted(name)} values ('a', 'ann'), ('b', 'bob')`);
    const see = async () => (await flow.see('app', '{"sub":"ann"}', `select ${quoted(name)} as v from orders`)).map((row) => row['v']);
    const member = (not: boolean): Term => ({ column: name, not, member: { table: name, column: name, where: { all: [{ column: 'who', op: 'Eq', claim: ['sub'] }, { column: name, op: 'IsNull', not: true }] } } });
    const terms: readonly Term[] = [
      { column: name, op: 'Eq', otherColumn: 'plain' },
      { column: name, op: 'In', values: ['a'] },
      { function: { name: 'coalesce', args: [{ column: name }, { column: 'plain' }] }, op: 'Eq', value: 'a' },
      member(false),
    ];
    for (const term of terms) {
      await flow.converge('orders', { rules: rules(term) });
      expect(await see(), JSON.stringify(term)).toEqual(['a']);
    }
    await flow.converge('orders', { rules: rules(member(true)) });
    expect(await see()).toEqual(['b']);
    await flow.admin.query(`drop table ${quoted(name)} cascade`);
    await intact();
  });

  it.each(hostile)('as a literal, a claim, its path, a setting and an argument: %j', async (text) => {
    await flow.admin.query(`drop table if exists orders; create table orders (v text, tags text[]); grant select on orders to app`);
    await flow.admin.query(`insert into orders values (${literal(text)}, array[${literal(text)}]), ('other', '{other}'), (null, null)`);
    const claims = JSON.stringify({ plain: text, list: [text], [text]: { [text]: text } });
    const terms: readonly Term[] = [
      { column: 'v', op: 'Eq', value: text },
      { column: 'v', op: 'In', values: [text, 'none'] },
      { column: 'v', op: 'Eq', claim: ['plain'] },
      { column: 'v', op: 'In', claim: ['list'] },
      { column: 'v', op: 'Eq', claim: [text, text] },
      { column: 'v', op: 'Eq', setting: 'app.v' },
      { column: 'tags', op: 'Contains', value: text },
      { column: 'tags', op: 'Overlaps', claim: ['plain'] },
      { column: 'tags', op: 'Overlaps', values: [text] },
      { function: { name: 'replace', args: [{ column: 'v' }, { value: text }, { value: 'found' }] }, op: 'Eq', value: 'found' },
      { function: { name: 'split_part', args: [{ column: 'v' }, { value: text }, { value: '-1' }] }, op: 'Eq', value: '' },
      { column: 'v', op: 'Eq', otherFunction: { name: 'coalesce', args: [{ value: text }, { claim: [text] }] } },
    ];
    for (const term of terms) {
      await flow.converge('orders', { rules: rules(term) });
      const rows = await flow.see('app', claims, `select v from (select v, set_config('app.v', ${literal(text)}, true) as s from orders offset 0) as o`);
      const again = await flow.see('app', claims, `select v from orders where set_config('app.v', ${literal(text)}, true) is not null`);
      if (!('setting' in term)) expect([rows.length, again.length], JSON.stringify(term)).toEqual([1, 1]);
      for (const row of [...rows, ...again]) expect(row['v']).toBe(text);
    }
    await intact();
  });

  it('longer than a name can be, or empty, or with NUL, is refused before anything is done', async () => {
    await flow.admin.query('drop table if exists orders; create table orders (v text)');
    for (const name of ['x'.repeat(64), 'ä'.repeat(32), '', 'a\0b']) {
      await expect(flow.planOf('orders', { rules: rules({ column: name, op: 'IsNull' }) }), name).rejects.toMatchObject({ code: 'DatabaseObjectMissing' });
      await expect(flow.planOf('orders', { rules: rules({ column: 'v', member: { table: name, column: 'v' } }) }), name).rejects.toMatchObject({ code: name.includes('\0') ? 'BadPredicate' : 'DatabaseObjectMissing' });
    }
    for (const term of [{ column: 'v', op: 'Eq', value: 'a\0b' }, { column: 'v', op: 'In', values: ['\0'] }, { column: 'v', op: 'Eq', claim: ['\0'] }] as const) {
      await expect(flow.planOf('orders', { rules: rules(term as unknown as Term) })).rejects.toMatchObject({ code: 'BadPredicate' });
    }
    const call = { name: 'pg_read_file', args: [{ value: '/etc/passwd' }] };
    await expect(flow.planOf('orders', { rules: rules({ column: 'v', op: 'Eq', otherFunction: call } as unknown as Term) })).rejects.toMatchObject({ code: 'BadPredicate', message: expect.stringContaining('pg_read_file') });
    for (const name of ['constructor', '__proto__', 'toString']) {
      await expect(flow.planOf('orders', { rules: rules({ column: 'v', op: 'Eq', otherFunction: { name, args: [] } } as unknown as Term) })).rejects.toMatchObject({ code: 'BadPredicate' });
    }
  });
});

// What a policy admits for claims of every kind: right, missing, malformed, too long, NULL.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { installationOf, type Postgres, startPostgres, supportedMajors } from '../parts/postgres.ts';
import { type Flow, forget, type Rules, startFlow } from './harness.ts';

const tenantA = '11111111-1111-1111-1111-111111111111';
const tenantB = '22222222-2222-2222-2222-222222222222';

type AllTerms = NonNullable<NonNullable<Rules[number]['using']>['all']>;
const rule = (all: AllTerms, extra: Partial<Rules[number]> = {}): Rules => [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { all }, ...extra }];
const member = (not: boolean): AllTerms => [{ column: 'tenant_id', not, member: { table: 'members', column: 'tenant_id', where: { all: [{ column: 'user_id', op: 'Eq', claim: ['sub'] }] } } }];

describe.each(supportedMajors)('claims on PostgreSQL %s', (major) => {
  let postgres: Postgres;
  let flow: Flow;
  beforeAll(async () => {
    postgres = await startPostgres({ installation: installationOf(major) });
    flow = await startFlow(postgres);
    await flow.admin.query(`create role app; create type mood as enum ('glad', 'sad'); create domain short as varchar(4)`);
  });
  afterAll(async () => {
    await flow?.close();
    await postgres?.stop();
  });
  beforeEach(async () => {
    await flow.admin.query(`${forget} drop table if exists orders, members cascade;
      create table orders (id int primary key, tenant_id uuid, code varchar(4), short short, amount numeric(6, 2), mood mood, owner_name name, tag "char", tags text[]);
      create table members (user_id text, team text, tenant_id uuid);
      insert into orders values (1, '${tenantA}', 'acme', 'acme', 10.25, 'glad', 'app', 'a'), (2, '${tenantB}', 'beta', 'beta', 20, 'sad', 'other', 'b'), (3, null, null, null, null, null, null, null);
      insert into members values ('ann', 'x', '${tenantA}'), ('bob', 'y', '${tenantB}'), (null, 'z', null);
      grant all on orders, members to app`);
  });
  const ids = async (claims: string | undefined) => (await flow.see('app', claims, 'select id from orders order by id')).map((row) => row['id']);

  it('shows a tenant its own rows and nobody else anything', async () => {
    await flow.converge('orders', { rules: rule([{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }]) });
    expect(await ids(JSON.stringify({ tenant_id: tenantA }))).toEqual([1]);
    for (const claims of [undefined, '', '{', 'null', '[]', '{}', '{"tenant_id":null}', '{"tenant_id":"no uuid"}', '{"tenant_id":{}}', '{"tenant_id":"\\u0000"}']) {
      expect(await ids(claims), String(claims)).toEqual([]);
    }
    await flow.admin.query(`begin; set local request.jwt.claims = '{}'; commit`);
    expect(await ids(undefined)).toEqual([]);
  });

  it('refuses writes across tenants', async () => {
    await flow.converge('orders', { rules: rule([{ column: 'tenant_id', op: 'Eq', claim: ['tenant_id'] }]) });
    await expect(flow.see('app', JSON.stringify({ tenant_id: tenantA }), `insert into orders values (9, '${tenantB}')`)).rejects.toMatchObject({ code: '42501' });
    await expect(flow.see('app', undefined, `insert into orders values (9, '${tenantB}')`)).rejects.toMatchObject({ code: '42501' });
  });

  it.each(['code', 'short'])('never takes a longer claim for a shorter value of %s', async (column) => {
    await flow.converge('orders', { rules: rule([{ column, op: 'Eq', claim: ['c'] }]) });
    expect(await ids('{"c":"acme"}')).toEqual([1]);
    expect(await ids('{"c":"acme-evil"}')).toEqual([]);
  });

  it('never rounds, cuts or misreads a claim into equality', async () => {
    await flow.converge('orders', { rules: rule([{ column: 'amount', op: 'Eq', claim: ['c'] }]) });
    expect(await ids('{"c":10.25}')).toEqual([1]);
    for (const value of ['10.254', '1e999999', 'x', '']) expect(await ids(JSON.stringify({ c: value })), value).toEqual([]);
    await flow.converge('orders', { rules: rule([{ column: 'tag', op: 'Eq', claim: ['c'] }]) });
    expect(await ids('{"c":"a"}')).toEqual([1]);
    expect(await ids('{"c":"abc"}')).toEqual([]);
    await flow.converge('orders', { rules: rule([{ column: 'mood', op: 'Eq', claim: ['c'] }]) });
    expect(await ids('{"c":"glad"}')).toEqual([1]);
    expect(await ids('{"c":"furious"}')).toEqual([]);
  });

  it('compares with the current role', async () => {
    await flow.converge('orders', { rules: rule([{ column: 'owner_name', op: 'Eq', currentRole: true }]) });
    expect(await ids(undefined)).toEqual([1]);
  });

  it('understands In over values and over a claim that holds an array', async () => {
    await flow.converge('orders', { rules: rule([{ column: 'id', op: 'In', values: ['1', '3'] }]) });
    expect(await ids(undefined)).toEqual([1, 3]);
    await flow.converge('orders', { rules: rule([{ column: 'tenant_id', op: 'In', claim: ['tenants'] }]) });
    expect(await ids(JSON.stringify({ tenants: [tenantA, 'junk', null, tenantB] }))).toEqual([1, 2]);
    for (const claims of [undefined, '{}', '{"tenants":"x"}', '{"tenants":[]}', '{"tenants":[null]}']) expect(await ids(claims), String(claims)).toEqual([]);
  });

  it('denies the unknown under not as well', async () => {
    await flow.converge('orders', { rules: rule([{ column: 'tenant_id', op: 'In', claim: ['blocked'], not: true }]) });
    expect(await ids(JSON.stringify({ blocked: [tenantA] }))).toEqual([2]);
    expect(await ids('{"blocked":[]}')).toEqual([1, 2]);
    for (const claims of [undefined, '{}', '{"blocked":"x"}', '{"blocked":["junk"]}', '{']) expect(await ids(claims), String(claims)).toEqual([]);
    await flow.converge('orders', { rules: rule([{ column: 'tenant_id', op: 'Eq', claim: ['t'], not: true }]) });
    expect(await ids(JSON.stringify({ t: tenantA }))).toEqual([2]);
    expect(await ids(undefined)).toEqual([]);
  });

  it('understands IsNull, other columns, alternatives and literals', async () => {
    await flow.converge('orders', { rules: rule([{ column: 'tenant_id', op: 'IsNull' }]) });
    expect(await ids(undefined)).toEqual([3]);
    await flow.converge('orders', { rules: rule([{ column: 'code', op: 'Eq', otherColumn: 'short' }, { column: 'id', op: 'Gte', value: '2' }]) });
    expect(await ids(undefined)).toEqual([2]);
    await flow.converge('orders', { rules: [{ name: 'tenant', roles: ['app'], commands: ['All'], using: { any: [{ all: [{ column: 'id', op: 'Eq', value: '1' }] }, { all: [{ claim: ['admin'], op: 'Eq', value: 'true' }] }] } }] });
    expect(await ids(undefined)).toEqual([1]);
    expect(await ids('{"admin":true}')).toEqual([1, 2, 3]);
  });

  it('looks up membership in a table without row security, and past the policies of a governed one', async () => {
    const rules = rule(member(false));
    await flow.converge('orders', { rules });
    expect(await ids('{"sub":"ann"}')).toEqual([1]);
    const governed = [{ schema: 'public', table: 'members' }];
    await flow.converge('members', { target: { schema: 'public', tables: ['members'] }, rules: rule([{ column: 'tenant_id', member: { table: 'members', column: 'tenant_id', where: { all: [{ column: 'user_id', op: 'Eq', claim: ['sub'] }] } } }]) }, governed);
    await flow.converge('orders', { rules }, governed);
    expect(await ids('{"sub":"bob"}')).toEqual([2]);
    expect(await ids('{"sub":"eve"}')).toEqual([]);
    expect(await ids(undefined)).toEqual([]);
    expect(await flow.see('app', '{"sub":"ann"}', 'select team from members')).toEqual([{ team: 'x' }]);
  });

  it('denies non-members nothing but the members, and everybody when the claim is unknown', async () => {
    await flow.converge('orders', { rules: rule(member(true)) });
    expect(await ids('{"sub":"ann"}')).toEqual([2]);
    expect(await ids('{"sub":"eve"}')).toEqual([1, 2]);
    for (const claims of [undefined, '{}', '{', '{"sub":null}']) expect(await ids(claims), String(claims)).toEqual([]);
  });

  it('explains what it reads, to every role', async () => {
    for (const [text, reason] of [[undefined, 'NoClaims'], ['', 'NoClaims'], ['{', 'NotJson'], ['[]', 'NotAnObject'], ['{"sub":"ann"}', 'Accepted']] as const) {
      expect(await flow.see('app', text, 'select reason, accepted from rowseal.explain_claims()')).toEqual([{ reason, accepted: reason === 'Accepted' }]);
    }
  });
});

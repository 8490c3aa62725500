// The shapes of predicates that the benchmark compares, each with the filter that one would write by hand, and the rows they read.
import type { Rules } from '../../test/postgres-policy/harness.ts';

export interface Shape {
  readonly name: string;
  readonly using: NonNullable<Rules[number]['using']>;
  readonly claims?: Readonly<Record<string, unknown>>;
  /** The condition, its values as parameters. */
  readonly hand: string;
  readonly values?: readonly unknown[];
  /** Of a lookup: the table that has policies, too. */
  readonly governed?: string;
}

const tenant = { column: 'tenant_id', op: 'Eq', claim: ['tenant'] } as const;
const all = (...terms: unknown[]): Shape['using'] => ({ all: terms as NonNullable<Shape['using']['all']> });
const lookup = (not = false) => ({ column: 'tenant_id', not, member: { table: 'members', column: 'tenant_id', where: { all: [{ column: 'person', op: 'Eq', claim: ['sub'] }] } } });
const handLookup = 'tenant_id = any (array(select m.tenant_id from members m where m.person = $1))';

export const shapes: readonly Shape[] = [
  { name: 'claim', using: all(tenant), claims: { tenant: 7 }, hand: 'tenant_id = $1', values: [7] },
  { name: 'claim of text', using: all({ column: 'code', op: 'Eq', claim: ['code'] }), claims: { code: 'code-7' }, hand: 'code = $1', values: ['code-7'] },
  { name: 'setting', using: all({ column: 'tenant_id', op: 'Eq', setting: 'app.tenant' }), hand: 'tenant_id = $1', values: [7] },
  { name: 'literal', using: all({ column: 'tenant_id', op: 'Eq', value: '7' }), hand: 'tenant_id = 7' },
  { name: 'In values', using: all({ column: 'tenant_id', op: 'In', values: ['7', '8', '9'] }), hand: 'tenant_id in (7, 8, 9)' },
  { name: 'In claim', using: all({ column: 'tenant_id', op: 'In', claim: ['tenants'] }), claims: { tenants: [7, 8, 9] }, hand: 'tenant_id = any ($1::int4[])', values: [[7, 8, 9]] },
  { name: 'In a list of a setting', using: all({ column: 'tenant_id', op: 'In', function: { name: 'string_to_array', args: [{ setting: 'app.tenant' }, { value: ',' }] } }), hand: 'tenant_id = any ($1::int4[])', values: [[7]] },
  { name: 'current role', using: all({ column: 'owner', op: 'Eq', currentRole: true }), hand: 'owner = $1', values: ['app'] },
  { name: 'bounds of a claim', using: all({ column: 'id', op: 'Gte', claim: ['from'] }, { column: 'id', op: 'Lt', claim: ['to'] }), claims: { from: 1000, to: 3000 }, hand: 'id >= $1 and id < $2', values: [1000, 3000] },
  { name: 'time', using: all({ column: 'at', op: 'Gt', now: { minus: '30 days' } }, tenant), claims: { tenant: 7 }, hand: `at > now() - interval '30 days' and tenant_id = $1`, values: [7] },
  { name: 'IsNull', using: all({ column: 'deleted_at', op: 'IsNull', not: true }), hand: 'deleted_at is not null' },
  { name: 'two columns', using: all(tenant, { column: 'low', op: 'Lt', otherColumn: 'high' }), claims: { tenant: 7 }, hand: 'tenant_id = $1 and low < high', values: [7] },
  { name: 'not', using: all(tenant, { column: 'state', op: 'In', values: ['s1', 's3'], not: true }), claims: { tenant: 7 }, hand: `tenant_id = $1 and state not in ('s1', 's3')`, values: [7] },
  { name: 'alternatives', using: { any: [all(tenant), all({ column: 'code', op: 'Eq', claim: ['code'] })] as NonNullable<Shape['using']['any']> }, claims: { tenant: 7, code: 'code-8' }, hand: 'tenant_id = $1 or code = $2', values: [7, 'code-8'] },
  { name: 'claim against literal', using: all(tenant, { claim: ['role'], op: 'Eq', value: 'staff' }), claims: { tenant: 7, role: 'staff' }, hand: `tenant_id = $1 and $2 = 'staff'`, values: [7, 'staff'] },
  { name: 'claim contains', using: all(tenant, { claim: ['roles'], op: 'Contains', value: 'staff' }), claims: { tenant: 7, roles: ['x', 'staff'] }, hand: `tenant_id = $1 and 'staff' = any ($2::text[])`, values: [7, ['x', 'staff']] },
  { name: 'array contains', using: all({ column: 'tags', op: 'Contains', claim: ['tag'] }), claims: { tag: 'tag-7' }, hand: 'tags @> array[$1::text]', values: ['tag-7'] },
  { name: 'array overlaps', using: all({ column: 'tags', op: 'Overlaps', claim: ['tags'] }), claims: { tags: ['tag-7', 'tag-8'] }, hand: 'tags && $1::text[]', values: [['tag-7', 'tag-8']] },
  { name: 'range contains', using: all({ column: 'span', op: 'Contains', claim: ['n'] }), claims: { n: 5_000 }, hand: 'span @> $1::int4', values: [5_000] },
  { name: 'jsonb contains', using: all({ column: 'doc', op: 'Contains', claim: ['part'] }), claims: { part: { k: 7 } }, hand: 'doc @> $1::jsonb', values: ['{"k": 7}'] },
  { name: 'function', using: all({ function: { name: 'lower', args: [{ column: 'code' }] }, op: 'Eq', otherFunction: { name: 'lower', args: [{ claim: ['code'] }] } }), claims: { code: 'CODE-7' }, hand: 'lower(code) = lower($1)', values: ['CODE-7'] },
  { name: 'lookup', using: all(lookup()), claims: { sub: 'person-7' }, hand: handLookup, values: ['person-7'] },
  { name: 'lookup in a governed table', using: all(lookup()), claims: { sub: 'person-7' }, hand: handLookup, values: ['person-7'], governed: 'members' },
  { name: 'lookup, negated', using: all(tenant, lookup(true)), claims: { tenant: 9, sub: 'person-7' }, hand: `tenant_id = $2 and not (${handLookup})`, values: ['person-7', 9] },
];

/** 1,000 tenants; every index that a filter of a shape wants. */
export function shapesSetup(rows: number, rivalRows: number): readonly string[] {
  const indexes = ['(tenant_id)', '(code)', '(owner)', '(at)', '(deleted_at) where deleted_at is not null', '(lower(code))'].map((columns) => `create index on docs ${columns}`);
  return [
    `create role app login password 'app'; create role plain login bypassrls password 'plain'`,
    `create table docs (id int primary key, tenant_id int not null, code text, owner text, state text, low int, high int, at timestamptz, deleted_at timestamptz, amount int, tags text[], span int4range, doc jsonb)`,
    `insert into docs select i, i % 1000, 'code-' || i % 1000, case when i % 1000 = 5 then 'app' else 'role-' || i % 50 end, 's' || i % 5, i % 7, i % 11, now() - make_interval(mins => i % 500000),
       case when i % 1000 = 3 then now() end, i, array['tag-' || i % 1000, 'tag-' || (i / 1000) % 1000], int4range(i, i + 1000), jsonb_build_object('k', i % 1000) from generate_series(1, ${rows}) i`,
    ...indexes,
    'create index on docs using gin (tags)',
    'create index on docs using gin (doc jsonb_path_ops)',
    'create index on docs using gist (span)',
    `create table few as select * from docs where id <= ${rivalRows}; create table rival as table few; create index on few (tenant_id); create index on rival (tenant_id)`,
    `create table members (person text, tenant_id int); insert into members select 'person-' || i % 2000, i % 1000 from generate_series(1, 4000) i; create index on members (person)`,
    'grant select on docs, few, rival, members to app, plain',
    'vacuum (analyze, freeze) docs', 'vacuum (analyze, freeze) few', 'vacuum (analyze, freeze) rival', 'vacuum (analyze, freeze) members',
  ];
}

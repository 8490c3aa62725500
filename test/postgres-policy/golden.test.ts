// Every statement and every predicate shape as SQL, in a golden file: a change of it is a change of what databases run.
import { describe, expect, it } from 'vitest';
import { claimsObjects } from '../../src/adapters/postgres/claims-functions.ts';
import { compileDesired } from '../../src/adapters/postgres/compile.ts';
import { policySchemaSql } from '../../src/adapters/postgres/policy-schema.ts';
import { operationSql, renderSteps } from '../../src/adapters/postgres/render.ts';
import type { ClaimsConfiguration } from '../../src/model/claims.ts';
import { desiredFrom, noNeighbours } from '../../src/policy/desired.ts';
import type { Observation, ObservedColumn, ObservedTable } from '../../src/policy/observed.ts';
import { plan } from '../../src/policy/plan.ts';
import { type Rules, specOf } from './harness.ts';

const column = (name: string, type: string, extra: Partial<ObservedColumn> = {}): ObservedColumn => ({ name, baseType: { schema: 'pg_catalog', name: type }, declaredType: type, operatorSchema: 'pg_catalog', softInput: true, category: 'U', ...extra });
const table = (name: string, rowSecurity: boolean): ObservedTable => ({
  table: { schema: 'public', table: name }, oid: 1, relationKind: 'r', parents: [], selectable: true, owner: 'o', owned: true, rowSecurity, forced: false, policies: [], readers: [], applied: [], declared: '', digest: '',
  columns: [column('id', 'int4'), column('tenant_id', 'uuid'), column('code', 'varchar', { category: 'S' }), column('owner', 'name', { category: 'S' }), column('email', 'citext', { baseType: { schema: 'public', name: 'citext' }, operatorSchema: 'public', softInput: false, category: 'S' }),
    column('at', 'timestamptz', { category: 'D' }), column('day', 'date', { category: 'D' }), column('tags', '_text', { category: 'A', element: { schema: 'pg_catalog', name: 'text', category: 'S', operatorSchema: 'pg_catalog', softInput: true } }),
    column('span', 'int4range', { category: 'R', element: { schema: 'pg_catalog', name: 'int4', category: 'N', operatorSchema: 'pg_catalog', softInput: true } }), column('doc', 'jsonb'), column('net', 'inet', { category: 'I' }), column('title', 'text', { category: 'S' })],
});
const observation = (versionNumber: number): Observation => ({
  versionNumber, currentRole: 'us', revision: 0, bypassesRowSecurity: true, roles: [{ name: 'app', superuser: false, bypassesRowSecurity: false }],
  tables: [table('members', false), table('orders', false), table('secrets', true)],
});

type Using = NonNullable<Rules[number]['using']>;
const member = (name: string, not = false): Using => ({ all: [{ column: 'tenant_id', not, member: { table: name, column: 'tenant_id', where: { all: [{ column: 'owner', op: 'Eq', currentRole: true }, { column: 'code', op: 'Eq', claim: ['sub'] }] } } }] });
const shapes: Readonly<Record<string, Using>> = {
  'claim of a cast type': { all: [{ column: 'tenant_id', op: 'Eq', claim: ['app', 'tenant'] }] },
  'claim of a textual type': { all: [{ column: 'code', op: 'Eq', claim: ['code'] }] },
  'type of an extension': { all: [{ column: 'email', op: 'Eq', claim: ['email'] }] },
  'literal, negated': { all: [{ column: 'id', op: 'Lt', value: "1'", not: true }] },
  'values': { all: [{ column: 'id', op: 'In', values: ['1', '2'] }] },
  'values, negated': { all: [{ column: 'id', op: 'In', values: ['1'], not: true }] },
  'claim that holds an array': { all: [{ column: 'id', op: 'In', claim: ['ids'] }] },
  'null and other column': { all: [{ column: 'code', op: 'IsNull', not: true }, { column: 'code', op: 'Ne', otherColumn: 'owner' }] },
  'claim against literal': { all: [{ claim: ['admin'], op: 'Eq', value: 'true' }] },
  'current role': { all: [{ column: 'owner', op: 'Eq', currentRole: true }] },
  'alternatives': { any: [{ all: [{ column: 'id', op: 'Eq', value: '1' }] }, { all: [{ column: 'id', op: 'Eq', value: '2' }, { column: 'code', op: 'IsNull' }] }] },
  'membership': member('members'),
  'membership, negated': member('members', true),
  'membership in a governed table': member('secrets'),
  'setting': { all: [{ column: 'tenant_id', op: 'Eq', setting: 'app.tenant_id' }, { setting: 'app.mode', op: 'IsNull' }] },
  'time': { all: [{ column: 'at', op: 'Gt', now: { minus: '30 days' } }, { column: 'day', op: 'Lte', now: {} }, { claim: ['exp'], op: 'Gt', now: {} }] },
  'missing claim': { all: [{ claim: ['tenant'], op: 'IsNull' }] },
  'array contains': { all: [{ column: 'tags', op: 'Contains', claim: ['tags'] }, { column: 'tags', op: 'Contains', value: 'x' }, { column: 'tags', op: 'Contains', setting: 'app.tag' }, { column: 'tags', op: 'Contains', otherColumn: 'title' }] },
  'array, negated': { all: [{ column: 'tags', op: 'Contains', claim: ['tags'], not: true }, { column: 'tags', op: 'Overlaps', value: 'x', not: true }] },
  'array overlaps': { all: [{ column: 'tags', op: 'Overlaps', values: ['a', 'b'] }, { column: 'tags', op: 'Overlaps', function: { name: 'string_to_array', args: [{ setting: 'app.tags' }, { value: ',' }] } }] },
  'array equals claim': { all: [{ column: 'tags', op: 'Eq', claim: ['tags'] }] },
  'claim contains': { all: [{ claim: ['roles'], op: 'Contains', value: 'admin' }, { claim: ['ids'], op: 'Contains', otherColumn: 'id' }] },
  'claim contains, negated': { all: [{ claim: ['roles'], op: 'Contains', value: 'admin', not: true }] },
  'range, jsonb and network': { all: [{ column: 'span', op: 'Contains', claim: ['n'] }, { column: 'span', op: 'Overlaps', value: '[1,3)' }, { column: 'doc', op: 'Contains', claim: ['doc'] }, { column: 'net', op: 'Contains', claim: ['ip'] }] },
  'functions': { all: [{ function: { name: 'lower', args: [{ column: 'title' }] }, op: 'Eq', otherFunction: { name: 'lower', args: [{ claim: ['title'] }] } }, { function: { name: 'date_trunc', args: [{ value: 'day' }, { column: 'at' }] }, op: 'Eq', otherFunction: { name: 'date_trunc', args: [{ value: 'day' }, { now: {} }] } }, { column: 'id', op: 'Eq', otherFunction: { name: 'split_part', args: [{ claim: ['sub'] }, { value: ':' }, { value: '2' }] } }] },
  'list out of a function': { all: [{ column: 'id', op: 'In', function: { name: 'string_to_array', args: [{ setting: 'app.ids' }, { value: ',' }] } }] },
  'membership of a claim': { all: [{ claim: ['sub'], member: { table: 'members', column: 'code' } }] },
  'membership inside a membership': { all: [{ column: 'id', member: { table: 'members', column: 'id', where: { any: [{ all: [{ column: 'tenant_id', member: { table: 'secrets', column: 'tenant_id', where: { all: [{ column: 'code', op: 'Eq', claim: ['sub'] }] } } }] }, { all: [{ column: 'owner', op: 'Eq', currentRole: true }] }] } } }] },
  'sql': { sql: 'id = 1 -- all of it' },
};

function compiled(using: Using, versionNumber: number, claims: ClaimsConfiguration = { type: 'Setting', setting: 'request.jwt.claims' }) {
  const rules: Rules = [{ name: 'r', roles: ['app'], commands: ['All'], using }];
  return compileDesired(desiredFrom({ namespace: 'shop', name: 'orders' }, specOf({ rules }), noNeighbours), observation(versionNumber), { claims, helperSchema: 'rowseal' });
}

describe('the SQL we write', () => {
  it.each(Object.keys(shapes))('for a predicate: %s', async (shape) => {
    const text = [180_004, 150_018].map((version) => {
      const steps = plan(compiled(shapes[shape] ?? {}, version), observation(version)).steps;
      return `-- PostgreSQL ${Math.floor(version / 10_000)}\n${renderSteps(steps).map((step) => `${step.sql};`).join('\n')}`;
    });
    await expect(`${text.join('\n\n')}\n`).toMatchFileSnapshot(`golden/${shape.replaceAll(/[^a-z]+/g, '-')}.sql`);
  });

  it.each([{ type: 'Signed', setting: 'rowseal.token', bind: 'Transaction' }, { type: 'Role' }] as const)('for claims of type $type', async (claims) => {
    const byRole: Using = { all: [{ column: 'tenant_id', member: { table: 'secrets', column: 'tenant_id', where: { all: [{ column: 'code', op: 'Eq', claim: ['role'] }] } } }] };
    const using: Using = { all: [{ column: 'tenant_id', op: 'Eq', claim: ['role'] }, { column: 'code', op: 'In', claim: ['session_user'] }, ...(byRole.all ?? [])] };
    const { steps } = plan(compiled(using, 180_004, claims), observation(180_004));
    await expect(`${renderSteps(steps).map((step) => `${step.sql};`).join('\n')}\n`).toMatchFileSnapshot(`golden/claims-of-type-${claims.type.toLowerCase()}.sql`);
  });

  it.each([180_004, 150_018])('for checking signed claims on %s', async (versionNumber) => {
    const objects = claimsObjects({ versionNumber, systemIdentifier: '7312345678901234567', encoding: 'UTF8', setting: 'rowseal.token', bind: 'Transaction' });
    await expect(`${objects.join(';\n\n')};\n`).toMatchFileSnapshot(`golden/signed-claims-${Math.floor(versionNumber / 10_000)}.sql`);
  });

  it('refuses claims that a role does not prove', () => {
    expect(() => compiled(shapes['claim of a cast type'] ?? {}, 180_004, { type: 'Role' })).toThrow(expect.objectContaining({ code: 'BadPredicate' }));
  });

  it('for each operation', async () => {
    const policy = compiled({ all: [{ column: 'id', op: 'Eq', value: '1' }] }, 180_004).tables[0]?.policies[0];
    if (policy === undefined) throw new Error('no policy');
    const target = { schema: 'public', table: 'or"ders' };
    const sql = [
      operationSql({ kind: 'EnableRowSecurity', table: target }),
      operationSql({ kind: 'ForceRowSecurity', table: target }),
      operationSql({ kind: 'NoForceRowSecurity', table: target }),
      operationSql({ kind: 'DisableRowSecurity', table: target }),
      operationSql({ kind: 'CreatePolicy', table: target, policy: { ...policy, as: 'Restrictive', command: 'Insert', roles: ['PUBLIC'], check: 'false' } }),
      operationSql({ kind: 'AlterPolicy', table: target, policy }),
      operationSql({ kind: 'DropPolicy', table: target, name: policy.name }),
    ];
    await expect(`${sql.join(';\n')};\n`).toMatchFileSnapshot('golden/operations.sql');
  });

  it('for our schema', async () => {
    await expect(`${policySchemaSql.join(';\n\n')};\n`).toMatchFileSnapshot('golden/schema.sql');
  });
});

// Grants as a table: who may ask for what, and which word the refusal names.
import { describe, expect, test } from 'vitest';
import type { DatabaseConnectionSpec, Resource } from '../../src/model/kinds.ts';
import { admittedInSql, type Asked, mayAudit, mayGovern, mayWriteLog, type Requester } from '../../src/reconcile/grants.ts';

type Grants = NonNullable<DatabaseConnectionSpec['grants']>;

const metadata = { name: 'db', namespace: 'shop', uid: 'u', resourceVersion: '1', generation: 1, finalizers: [], annotations: {} };

function connection(grants?: Grants): Resource<'DatabaseConnection'> {
  return { kind: 'DatabaseConnection', metadata, spec: { engine: 'PostgreSQL', connection: { secretRef: { name: 's' } }, ...(grants ? { grants } : {}) }, status: {} };
}

const own: Requester = { namespace: 'shop', labels: {} };
const other: Requester = { namespace: 'web', labels: { team: 'orders' } };
const asked = (over: Partial<Asked> = {}): Asked => ({ schema: 'public', tables: ['orders'], roles: ['app'], rights: [], ...over });
const all = { from: 'All' } as const;
const selector = { from: 'Selector', selector: { matchLabels: { team: 'orders' } } } as const;

describe('admittedInSql', () => {
  const grants: Grants = [
    { name: 'a', namespaces: all, tables: ['orders'], rights: ['SQL'], sqlMayUse: ['auth.uid', 'auth.role'] },
    { name: 'b', namespaces: { from: 'Same' }, tables: ['items'], rights: ['SQL'], sqlMayUse: ['auth.uid'] },
    { name: 'c', namespaces: all, rights: ['Widen'], sqlMayUse: ['public.evil'] },
  ];
  test.each([
    ['one table', own, ['orders'], ['auth.uid', 'auth.role']],
    ['what both tables have', own, ['orders', 'items'], ['auth.uid']],
    ['nothing for a selector that could mean any table', own, ['*'], []],
    ['nothing of a grant for others', other, ['items'], []],
  ] as const)('%s', (_name, requester, tables, names) => {
    expect(admittedInSql(connection(grants), requester, { schema: 'public', tables })).toEqual(names);
  });
});

describe('mayGovern', () => {
  const cases: readonly (readonly [string, Grants | undefined, Requester, Asked, string | undefined])[] = [
    ['own namespace without grants', undefined, own, asked(), undefined],
    ['own namespace without grants widens', undefined, own, asked({ rights: ['Widen'] }), undefined],
    ['own namespace without grants has no SQL', undefined, own, asked({ rights: ['SQL'] }), 'SQL'],
    ['another namespace without grants', undefined, other, asked(), 'RowPolicy'],
    ['an empty list of grants grants nothing', [], own, asked(), 'RowPolicy'],
    ['a grant for all replaces the default', [{ name: 'a', namespaces: all }], own, asked({ rights: ['Widen'] }), 'Widen'],
    ['a grant for all', [{ name: 'a', namespaces: all }], other, asked(), undefined],
    ['a grant for the same namespace only', [{ name: 'a', namespaces: { from: 'Same' } }], other, asked(), 'RowPolicy'],
    ['a selector that matches', [{ name: 'a', namespaces: selector }], other, asked(), undefined],
    ['a selector that does not', [{ name: 'a', namespaces: selector }], own, asked(), 'RowPolicy'],
    ['another kind', [{ name: 'a', namespaces: all, kinds: ['AuditPolicy'] }], own, asked(), 'RowPolicy'],
    ['another schema', [{ name: 'a', namespaces: all, schemas: ['x'] }], own, asked(), 'schema public'],
    ['another table', [{ name: 'a', namespaces: all, tables: ['x'] }], own, asked(), 'table public.orders'],
    ['one table of two', [{ name: 'a', namespaces: all, tables: ['orders'] }], own, asked({ tables: ['orders', 'items'] }), 'public.items'],
    ['tables of two grants add up', [{ name: 'a', namespaces: all, tables: ['orders'] }, { name: 'b', namespaces: all, tables: ['items'] }], own, asked({ tables: ['orders', 'items'] }), undefined],
    ['another role', [{ name: 'a', namespaces: all, roles: ['x'] }], own, asked(), 'role app'],
    ['PUBLIC is a role of its own', [{ name: 'a', namespaces: all, roles: ['app'] }], own, asked({ roles: ['PUBLIC'] }), 'PUBLIC'],
    ['a right on another table', [{ name: 'a', namespaces: all }, { name: 'b', namespaces: all, tables: ['items'], rights: ['SQL'] }], own, asked({ rights: ['SQL'] }), 'SQL'],
    ['a right for another role', [{ name: 'a', namespaces: all }, { name: 'b', namespaces: all, roles: ['x'], rights: ['Widen'] }], own, asked({ rights: ['Widen'] }), 'Widen for role app'],
    ['rights of two grants', [{ name: 'a', namespaces: all, rights: ['SQL'] }, { name: 'b', namespaces: all, rights: ['Widen'] }], own, asked({ rights: ['SQL', 'Widen'] }), undefined],
    ['a right in a schema that another grant is for', [{ name: 'a', namespaces: all }, { name: 'b', namespaces: all, schemas: ['x'], rights: ['SQL'] }], own, asked({ rights: ['SQL'] }), 'SQL'],
  ];

  test.each(cases)('%s', (...[, grants, requester, wish, missing]) => {
    const refusal = mayGovern(connection(grants), requester, wish);
    if (missing === undefined) expect(refusal).toBeUndefined();
    else expect(refusal).toContain(missing);
  });
});

test('mayAudit asks schema by schema', () => {
  const tables = [
    { name: 'a', schema: 'public', tables: ['orders'], operations: ['Insert' as const] },
    { name: 'b', schema: 'hr', tables: ['pay'], operations: ['Insert' as const] },
  ];
  expect(mayAudit(connection(), own, tables)).toBeUndefined();
  expect(mayAudit(connection([{ name: 'a', namespaces: all, schemas: ['public'] }]), own, tables)).toContain('schema hr');
  expect(mayAudit(connection([{ name: 'a', namespaces: all, kinds: ['RowPolicy'] }]), own, tables)).toContain('AuditPolicy');
});

test('mayWriteLog: the own namespace, or a grant', () => {
  const log = (grants?: { name: string; namespaces: typeof all }[]): Resource<'AuditLog'> => ({
    kind: 'AuditLog',
    metadata,
    spec: { origin: 'x', storage: { filesystem: { path: '/x' } }, retention: { days: 1, uncoveredDays: 1 }, ...(grants ? { grants } : {}) },
    status: {},
  });
  expect(mayWriteLog(log(), own)).toBeUndefined();
  expect(mayWriteLog(log(), other)).toContain('web');
  expect(mayWriteLog(log([{ name: 'a', namespaces: all }]), other)).toBeUndefined();
});

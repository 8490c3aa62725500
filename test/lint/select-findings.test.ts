// Which findings a RowPolicy or a schema gets to see.
import { expect, test } from 'vitest';
import { governedTables } from '../../src/lint/governed-tables.ts';
import type { Finding } from '../../src/lint/lint.ts';
import { concernsSchemas, concernsTables, withoutAllowed } from '../../src/lint/select-findings.ts';
import type { Catalog, CatalogRelation } from '../../src/policy/catalog.ts';

const finding = (over: Partial<Finding>): Finding => ({ lint: 'definer-view', severity: 'error', object: 'api.v', tables: ['public.orders'], why: '', fix: '', ...over });

test('a finding concerns its tables, its object, and without tables everybody', () => {
  expect(concernsTables(finding({}), new Set(['public.orders']))).toBe(true);
  expect(concernsTables(finding({}), new Set(['api.v']))).toBe(true);
  expect(concernsTables(finding({}), new Set(['public.other']))).toBe(false);
  expect(concernsTables(finding({ tables: [] }), new Set(['public.other']))).toBe(true);
  expect(concernsSchemas(finding({}), ['api'])).toBe(true);
  expect(concernsSchemas(finding({}), ['public'])).toBe(true);
  expect(concernsSchemas(finding({}), ['pub'])).toBe(false);
});

test('what is allowed needs its reason, and what allows nothing is said', () => {
  const allowances = [
    { lint: 'definer-view', object: 'api.v', reason: 'shows totals only' },
    { lint: 'definer-view', object: 'api.w', reason: ' ' },
    { lint: 'definer-view', object: 'api.gone', reason: 'was there once' },
  ];
  const selection = withoutAllowed([finding({}), finding({ object: 'api.w' })], allowances);
  expect(selection.findings.map((each) => each.object)).toEqual(['api.w']);
  expect(selection.allowed.map(({ finding: each, reason }) => [each.object, reason])).toEqual([['api.v', 'shows totals only']]);
  expect(selection.unused.map((each) => each.object)).toEqual(['api.gone']);
});

test('a target means its tables or those that a selector matches, with what is below them', () => {
  const table = (oid: number, name: string, parents: number[] = [], columns = ['id', 'tenant_id']) =>
    ({ oid, schema: 'public', name, kind: 'Table', parents, columns: columns.map((column) => ({ name: column })) }) as unknown as CatalogRelation;
  const catalog = { relations: [table(1, 'orders'), table(2, 'orders_2026', [1], ['id']), table(3, 'old_orders'), table(4, 'countries', [], ['id'])] } as unknown as Catalog;
  const governed = (target: object) => [...governedTables({ schema: 'public', ...target }, catalog)].sort();
  expect(governed({ tables: ['orders', 'absent'] })).toEqual(['public.absent', 'public.orders', 'public.orders_2026']);
  expect(governed({ selector: { hasColumns: ['tenant_id'] } })).toEqual(['public.old_orders', 'public.orders', 'public.orders_2026']);
  expect(governed({ selector: { namePattern: '*orders' } })).toEqual(['public.old_orders', 'public.orders', 'public.orders_2026']);
  expect(governed({ selector: { namePattern: 'o??_*s', hasColumns: ['id'] } })).toEqual(['public.old_orders']);
  expect(governed({ selector: { namePattern: 'c' } })).toEqual([]);
  expect(governed({ selector: { namePattern: `${'*a'.repeat(30)}b` } })).toEqual([]);
});

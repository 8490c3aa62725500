// What the catalog's expressions become as trees.
import { expect, test } from 'vitest';
import { readExpression, readFilter } from '../../src/adapters/postgres/read-expression.ts';
import { type Expression, holds, partsOf, partsThat } from '../../src/policy/expression.ts';

test('a comparison with a claim', async () => {
  const tree = await readExpression(`((tenant_id)::text = (( SELECT NULLIF(current_setting('request.jwt.claims'::text, true), ''::text) AS "nullif"))::character varying(4))`);
  expect(tree).toMatchObject({ kind: 'Operator', operator: '=', args: [{ kind: 'Cast', type: 'text', modifier: false }, { kind: 'Cast', type: 'varchar', modifier: true, args: [{ kind: 'Query', form: 'Scalar' }] }] });
  expect(partsThat(tree, (part): part is Extract<Expression, { kind: 'Function' }> => part.kind === 'Function').map((part) => part.name)).toEqual(['current_setting']);
  expect(holds(tree, (part) => part.kind === 'Constant' && part.value === 'request.jwt.claims')).toBe(true);
});

test.each([
  [`(a ~~ b)`, { kind: 'Operator', operator: '~~' }],
  [`(a IS NOT DISTINCT FROM b)`, { kind: 'Operator', operator: 'IS NOT DISTINCT FROM' }],
  [`(x IS NULL)`, { kind: 'Operator', operator: 'IS NULL', args: [{ kind: 'Column', path: ['x'] }] }],
  [`true`, { kind: 'Constant', value: true }],
  [`false`, { kind: 'Constant', value: false }],
  [`(owner = CURRENT_USER)`, { kind: 'Operator', args: [{ kind: 'Column' }, { kind: 'SessionValue', name: 'current_user' }] }],
  [`(a = ANY (ARRAY[1, 2]))`, { kind: 'Operator', operator: '= ANY', args: [{ kind: 'Column' }, { kind: 'Other', node: 'A_ArrayExpr', args: [{ kind: 'Constant', value: 1 }, { kind: 'Constant', value: 2 }] }] }],
  [`(NOT (auth.uid() = owner))`, { kind: 'Not', args: [{ kind: 'Operator', args: [{ kind: 'Function', schema: 'auth', name: 'uid', args: [] }, { kind: 'Column' }] }] }],
  [`(u IN ( SELECT m.u FROM (public.m JOIN public.n ON ((n.a = m.a))) WHERE (m.o = org)))`, { kind: 'Query', form: 'Any', reads: [{ schema: 'public', table: 'm' }, { schema: 'public', table: 'n' }], where: { kind: 'And' } }],
  [`(CASE WHEN a THEN b ELSE c END)`, { kind: 'Other', node: 'CaseExpr' }],
])('%s', async (text, shape) => {
  const tree = await readExpression(text);
  expect(tree).toMatchObject(shape);
  // No part gets lost.
  expect(holds(tree, (part) => partsOf(part).length === 0)).toBe(true);
});

test('the filter of a view, through joins, sub-queries and unions', async () => {
  expect(await readFilter('SELECT a FROM public.t')).toBeUndefined();
  expect(await readFilter('SELECT a FROM public.t WHERE (a = 1)')).toMatchObject({ kind: 'Operator' });
  expect(await readFilter('SELECT a FROM (public.t JOIN public.u ON ((t.a = u.a))) UNION SELECT a FROM (SELECT v.a FROM public.v WHERE (v.b = 2)) x')).toMatchObject({ kind: 'And', args: [{}, {}] });
});

test('what the parser cannot read becomes a node that says so', async () => {
  expect(await readExpression('((')).toEqual({ kind: 'Other', node: 'unread', args: [] });
});

// What conditions come to for a session without claims.
import { expect, test } from 'vitest';
import { readExpression } from '../../src/adapters/postgres/read-expression.ts';
import { truthOf, type Truth, type World } from '../../src/lint/without-claims.ts';

const isClaimCall: World['isClaimCall'] = (part) => part.kind === 'Function' && (part.name === 'current_setting' || part.name === 'uid');
const claim = `current_setting('app.tenant'::text, true)`;

test.each<[expression: string, neverSet: Truth, empty: Truth]>([
  [`(tenant = ${claim})`, null, 'unknown'],
  [`(tenant = NULLIF(${claim}, ''::text))`, null, null],
  [`((${claim} IS NULL) OR (tenant = ${claim}))`, true, 'unknown'],
  [`((${claim} = ''::text) OR (tenant = ${claim}))`, null, true],
  [`((NULLIF(( SELECT ${claim} AS c), ''::text) IS NULL) OR (tenant = 'x'::text))`, true, true],
  [`(tenant = COALESCE(${claim}, tenant))`, true, 'unknown'],
  [`(tenant = COALESCE(NULLIF(${claim}, ''::text), (tenant)::text))`, true, true],
  [`(COALESCE(${claim}, 'none'::text) = 'none'::text)`, true, false],
  [`((auth.uid() IS NULL) AND (tenant = 'x'::text))`, 'unknown', 'unknown'],
  [`(NOT (auth.uid() IS NOT NULL))`, true, true],
  [`(auth.uid() <> owner)`, null, null],
  [`(tenant IS DISTINCT FROM ${claim})`, true, 'unknown'],
  [`(NOT (tenant IS DISTINCT FROM ${claim}))`, false, 'unknown'],
  [`(tenant = (NULLIF(${claim}, ''::text))::uuid)`, null, null],
  [`(tenant = (${claim})::uuid)`, null, 'unknown'],
  [`(tenant = current_setting('app.tenant'::text))`, 'unknown', 'unknown'],
  [`(current_setting('app.tenant'::text) = ''::text)`, 'unknown', true],
  [`(CURRENT_USER = owner)`, 'unknown', 'unknown'],
  [`(EXISTS ( SELECT 1 FROM public.m WHERE (m.tenant = ${claim})))`, 'unknown', 'unknown'],
])('%s', async (text, neverSet, empty) => {
  const tree = await readExpression(text);
  const world = { isClaimCall, nullColumns: new Set<string>() };
  expect(truthOf(tree, { ...world, setting: null })).toBe(neverSet);
  expect(truthOf(tree, { ...world, setting: '' })).toBe(empty);
});

test.each<[expression: string, truth: Truth]>([
  [`(tenant = ${claim})`, null],
  [`(NOT (tenant IS DISTINCT FROM ${claim}))`, true],
  [`(COALESCE(tenant, ''::text) = COALESCE(${claim}, ''::text))`, true],
  [`((tenant IS NULL) OR (tenant = ${claim}))`, true],
  [`((tenant IS NULL) AND shared)`, 'unknown'],
])('a row without a tenant: %s', async (text, truth) => {
  const tree = await readExpression(text);
  expect(truthOf(tree, { isClaimCall, nullColumns: new Set(['tenant']), setting: null })).toBe(truth);
});

// Which indexes conditions need.
import { expect, test } from 'vitest';
import { readExpression } from '../../src/adapters/postgres/read-expression.ts';
import { type ExistingIndex, missingIndexes, soughtColumns } from '../../src/policy/index-need.ts';

const on = (...columns: (string | null)[]): ExistingIndex => ({ valid: true, partial: false, columns });
const claim = `( SELECT current_setting('app.t'::text, true) AS c)`;

test.each<[condition: string, indexes: readonly ExistingIndex[], missing: readonly string[]]>([
  [`(tenant_id = ${claim})`, [], ['tenant_id']],
  [`(${claim} = tenant_id)`, [], ['tenant_id']],
  [`(tenant_id = ${claim})`, [on('tenant_id', 'id')], []],
  [`(tenant_id = ${claim})`, [on('id', 'tenant_id')], ['tenant_id']],
  [`(tenant_id = ${claim})`, [{ valid: false, partial: false, columns: ['tenant_id'] }], ['tenant_id']],
  [`(tenant_id = ${claim})`, [{ valid: true, partial: true, columns: ['tenant_id'] }], ['tenant_id']],
  [`(team_id = ANY (ARRAY( SELECT m.team_id FROM public.members m WHERE (m.u = ${claim}))))`, [], ['team_id']],
  [`(team_id = ANY (ARRAY( SELECT m.team_id FROM public.members m WHERE (m.org = orders.org))))`, [], []],
  [`(team_id IN ( SELECT m.team_id FROM public.members m))`, [], []],
  [`((tenant_id = ${claim}) AND (owner = CURRENT_USER))`, [], ['tenant_id']],
  [`((tenant_id = ${claim}) AND (owner = CURRENT_USER))`, [on('owner')], []],
  [`((tenant_id = ${claim}) OR (owner = CURRENT_USER))`, [on('owner')], ['tenant_id']],
  [`((tenant_id = ${claim}) OR shared)`, [], []],
  [`((tenant_id)::text = ${claim})`, [on('tenant_id')], ['tenant_id']],
  [`((tenant_id)::text = ${claim})`, [on(null)], []],
  [`(lower(tenant_id) = ${claim})`, [on('tenant_id')], ['tenant_id']],
  [`(a = b)`, [], []],
  [`true`, [], []],
])('%s', async (condition, indexes, expected) => {
  const tree = await readExpression(condition);
  expect(missingIndexes(tree, { name: 'orders', indexes }).map(({ column }) => column)).toEqual(expected);
});

test('what is sought, served or not', async () => {
  expect(soughtColumns(await readExpression(`((a = 1) OR (b = 2))`), { name: 't' })).toEqual(['a', 'b']);
});

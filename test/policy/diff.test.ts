// A plan as a diff: what goes, what comes, and nothing of what stays.
import { expect, it } from 'vitest';
import type { CompiledPolicy } from '../../src/policy/compiled.ts';
import { diffOf } from '../../src/policy/diff.ts';
import type { Observation, ObservedTable } from '../../src/policy/observed.ts';
import { withDigest } from '../../src/policy/plan-order.ts';
import type { Operation } from '../../src/policy/step.ts';

const table = { schema: 'public', table: 'orders' };
const observed = { table, rowSecurity: true, forced: false, policies: [{ name: 'tenant', as: 'Permissive', command: 'All', roles: ['app'], using: '(tenant_id = 1)', deparsed: '' }, { name: 'same', as: 'Restrictive', command: 'Select', roles: ['PUBLIC'], using: 'true', deparsed: '' }] } as unknown as ObservedTable;
const planOf = (...operations: Operation[]) => withDigest({ owner: 'shop/orders', steps: operations.map((operation) => ({ operation, why: '', widening: false })), adoptions: [], releases: [], tables: [], leaving: false });
const policy: CompiledPolicy = { name: 'tenant', rule: 'tenant', as: 'Permissive', command: 'All', roles: ['app', 'support'], using: '(\n  tenant_id = 2\n)', check: 'false', functions: [], definition: '' };
const diff = (...operations: Operation[]) => diffOf(planOf(...operations), { tables: [observed] } as unknown as Observation);

it('shows a changed policy before and after, and the flags', () => {
  expect(diff({ kind: 'ForceRowSecurity', table }, { kind: 'AlterPolicy', table, policy })).toEqual([
    {
      table: 'public.orders',
      lines: [
        '- row security enabled, not for the owner',
        '+ row security forced',
        '- policy "tenant": permissive, all, to app',
        '-   using (tenant_id = 1)',
        '+ policy "tenant": permissive, all, to app, support',
        '+   using ( tenant_id = 2 )',
        '+   check false',
      ],
    },
  ]);
});

it('shows a dropped policy as gone, and says nothing of tables that stay as they are', () => {
  expect(diff({ kind: 'DropPolicy', table, name: 'same' })).toEqual([{ table: 'public.orders', lines: ['- policy "same": restrictive, select, to PUBLIC', '-   using true'] }]);
  expect(diff()).toEqual([]);
});

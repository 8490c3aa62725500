// What one RowPolicy has in store, and whom that keeps waiting.
import { describe, expect, it } from 'vitest';
import type { CompiledPolicy } from '../../src/policy/compiled.ts';
import { mayWidenBefore, pendingOf, type Pending } from '../../src/policy/pending.ts';
import { withDigest } from '../../src/policy/plan-order.ts';
import type { Operation, Step } from '../../src/policy/step.ts';

const table = { schema: 'public', table: 'orders' };
const policy: CompiledPolicy = { name: 'p', rule: 'p', as: 'Permissive', command: 'All', roles: ['app'], using: 'true', functions: [], definition: 'd' };
const step = (operation: Operation, widening: boolean): Step => ({ operation, why: 'because', widening });
const create = step({ kind: 'CreatePolicy', table, policy }, true);
const alter = step({ kind: 'AlterPolicy', table, policy }, true);
const drop = (name: string, widening = false) => step({ kind: 'DropPolicy', table, name }, widening);
const pending = (steps: readonly Step[], leaving = false) => pendingOf(withDigest({ owner: 'shop/orders', steps, adoptions: [], releases: [], leaving, tables: [] }));

describe('what a plan has in store', () => {
  it.each<[string, readonly Step[], Pending]>([
    ['no step', [], 'Nothing'],
    ['a permissive policy that goes, and one that comes', [drop('old'), create], 'Narrowing'],
    ['only one that comes', [create], 'Widening'],
    ['a restrictive policy that goes', [drop('fence', true)], 'Widening'],
    ['an expression that is not provably narrower', [alter], 'Exchange'],
    ['a policy that takes another form', [drop('p'), create], 'Exchange'],
  ])('%s', (_what, steps, expected) => expect(pending(steps)).toBe(expected));

  it('an exchange that also takes a restrictive policy away is a loosening', () => {
    const fence = { ...policy, name: 'fence', as: 'Restrictive' as const };
    expect(pending([alter, drop('fence', true)])).toBe('Loosening');
    expect(pending([step({ kind: 'AlterPolicy', table, policy: fence }, true)])).toBe('Loosening');
  });

  it('an owner that leaves takes and brings back together', () => {
    expect(pending([drop('old'), step({ kind: 'DisableRowSecurity', table }, true)], true)).toBe('Loosening');
    expect(pending([drop('old')], true)).toBe('Narrowing');
  });
});

describe('whoever widens', () => {
  const may = (own: Pending, other: Pending | undefined) => ['a', 'c'].map((id) => mayWidenBefore({ id, pending: own }, { id: 'b', pending: other }));
  it('waits for everybody who narrows, or was not looked at yet', () => {
    for (const own of ['Widening', 'Exchange'] as const) expect([may(own, 'Narrowing'), may(own, undefined)]).toEqual([[false, false], [false, false]]);
  });
  it('waits for an exchange, and of two exchanges one goes first', () => {
    expect([may('Widening', 'Exchange'), may('Exchange', 'Exchange')]).toEqual([[false, false], [true, false]]);
  });
  it('lets permissive policies take their new form before what held the old ones back goes', () => {
    expect([may('Exchange', 'Loosening'), may('Loosening', 'Exchange')]).toEqual([[true, true], [false, false]]);
    expect([may('Loosening', 'Loosening'), may('Widening', 'Loosening')]).toEqual([[true, false], [false, false]]);
  });
  it('waits for nobody who only widens or has nothing to do', () => {
    for (const other of ['Widening', 'Nothing'] as const) expect([may('Widening', other), may('Exchange', other)]).toEqual([[true, true], [true, true]]);
  });
});

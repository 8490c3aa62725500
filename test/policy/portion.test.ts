// What is applied at once and what waits: narrowing and repairs never wait for widening, and nothing is replaced by half.
import { describe, expect, it } from 'vitest';
import type { CompiledPolicy } from '../../src/policy/compiled.ts';
import { approvalDigest } from '../../src/policy/approval.ts';
import type { RowPolicySpec } from '../../src/model/kinds.ts';
import type { Observation } from '../../src/policy/observed.ts';
import { withDigest } from '../../src/policy/plan-order.ts';
import { needsNoLeave, portionOf } from '../../src/policy/portion.ts';
import type { Operation, Plan, Step } from '../../src/policy/step.ts';

const table = { schema: 'public', table: 'orders' };
const helper = { schema: 'rowseal', name: 'member_1', definition: 'create …', roles: ['app'] };
const policyNamed = (name: string, extra: Partial<CompiledPolicy> = {}): CompiledPolicy => ({ name, rule: name, as: 'Permissive', command: 'All', roles: ['app'], using: 'true', functions: [], definition: 'd', ...extra });
const step = (operation: Operation, widening: boolean, mends = false): Step => ({ operation, why: 'because', widening, ...(mends ? { mends } : {}) });
const drop = (name: string, widening = false) => step({ kind: 'DropPolicy', table, name }, widening);
const create = (policy: CompiledPolicy, widening = true, mends = false) => step({ kind: 'CreatePolicy', table, policy }, widening, mends);
const planOf = (...steps: Step[]): Plan =>
  withDigest({ owner: 'shop/orders', steps, adoptions: [], releases: [], leaving: false, tables: [{ table, oid: 1, before: { rowSecurity: true, forced: true }, declared: 'Enabled', observed: 'o' }] });

describe('the part of a plan that needs no leave', () => {
  it('holds what narrows and what repairs, and leaves what widens', () => {
    const plan = planOf(drop('gone'), create(policyNamed('new')), create(policyNamed('mended'), true, true));
    expect(portionOf(plan, needsNoLeave).steps).toEqual([plan.steps[0], plan.steps[2]]);
  });

  it('is the plan itself when nothing widens', () => {
    const plan = planOf(drop('gone'));
    expect(portionOf(plan, needsNoLeave)).toBe(plan);
  });

  it('keeps the old policy until its replacement may come', () => {
    expect(portionOf(planOf(drop('tenant'), create(policyNamed('tenant'))), needsNoLeave).steps).toEqual([]);
  });

  it('makes a helper only for a policy that is made', () => {
    const made = step({ kind: 'CreateFunction', function: helper }, false);
    expect(portionOf(planOf(made, create(policyNamed('new', { functions: [helper] })), drop('gone')), needsNoLeave).steps).toEqual([drop('gone')]);
    const restrictive = create(policyNamed('r', { as: 'Restrictive', functions: [helper] }), false);
    expect(portionOf(planOf(made, restrictive, create(policyNamed('new'))), needsNoLeave).steps).toEqual([made, restrictive]);
  });

  it('does not call flags declared that it has not loosened', () => {
    const plan = planOf(drop('gone'), step({ kind: 'NoForceRowSecurity', table }, true));
    expect(portionOf(plan, needsNoLeave).tables).toMatchObject([{ declared: '' }]);
    expect(plan.tables).toMatchObject([{ declared: 'Enabled' }]);
  });
});

describe('the digest that an approval names', () => {
  const spec: RowPolicySpec = { databaseRef: { name: 'shop' }, target: { schema: 'public', tables: ['orders'] }, rules: [{ name: 'r', roles: ['app'], commands: ['All'], using: { all: [{ column: 'id', op: 'Eq', value: '1' }] } }] };
  const observation: Observation = { versionNumber: 180_004, currentRole: 'us', revision: 0, bypassesRowSecurity: true, tables: [], roles: [{ name: 'app', superuser: false, bypassesRowSecurity: false }] };
  const place = { systemIdentifier: '7', database: 'shop' };
  const digest = approvalDigest(planOf(drop('gone')), spec, observation, place);

  it('does not depend on the order of fields', () => {
    const reordered = Object.fromEntries(Object.entries(spec).reverse()) as unknown as RowPolicySpec;
    expect(approvalDigest(planOf(drop('gone')), reordered, observation, place)).toBe(digest);
  });

  it.each([
    ['the plan', approvalDigest(planOf(drop('other')), spec, observation, place)],
    ['the spec', approvalDigest(planOf(drop('gone')), { ...spec, mode: 'Enforce' }, observation, place)],
    ['a role', approvalDigest(planOf(drop('gone')), spec, { ...observation, roles: [{ name: 'app', superuser: false, bypassesRowSecurity: true }] }, place)],
    ['the server', approvalDigest(planOf(drop('gone')), spec, observation, { ...place, systemIdentifier: '8' })],
    ['the database', approvalDigest(planOf(drop('gone')), spec, observation, { ...place, database: 'other' })],
  ])('is another one when %s is', (_what, other) => {
    expect(other).not.toBe(digest);
  });
});

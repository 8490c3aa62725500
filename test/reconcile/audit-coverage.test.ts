// What an AuditPolicy's status says of coverage: its own tables only, the broken ones first, bounded, with what to do.
import { describe, expect, it } from 'vitest';
import type { AuditPolicySpec } from '../../src/model/kinds.ts';
import type { TableCoverage } from '../../src/ports/audit-coverage.ts';
import { coverageConditions, coverageStatus, uncoveredReadiness } from '../../src/reconcile/audit-coverage.ts';

const spec = (tables: string[], schemaChanges?: 'Record' | 'Ignore'): AuditPolicySpec => ({
  databaseRef: { name: 'shop' },
  logRef: { name: 'shop' },
  tables: [{ name: 'some', schema: 'public', tables }],
  ...(schemaChanges === undefined ? {} : { schemaChanges }),
});

const table = (name: string, problems: TableCoverage['problems'] = [], root = name): TableCoverage => ({
  schema: 'public',
  table: name,
  operations: ['Insert', 'Update'],
  declared: { schema: 'public', table: root },
  problems,
});

describe('coverage in the status', () => {
  it('says that all is captured when it is', () => {
    const coverage = { tables: [table('orders'), table('members')], eventTriggers: true };
    expect(coverageStatus(spec(['orders']), coverage)).toEqual({ total: 1, uncovered: 0, tables: [{ name: 'public.orders', captured: ['Insert', 'Update'], problems: [] }] });
    expect(coverageConditions(spec(['orders']), coverage)).toMatchObject([
      { type: 'Covered', status: 'True', reason: 'AllTablesCaptured' },
      { type: 'SchemaChangesRecorded', status: 'True', reason: 'EventTriggers' },
    ]);
    expect(uncoveredReadiness(spec(['orders']), coverage)).toBeUndefined();
  });

  it('leaves out the tables of other policies, and counts a partition with a problem to its root', () => {
    const coverage = { tables: [table('orders'), table('orders_eu', ['Unlogged'], 'orders'), table('members', ['Missing'])], eventTriggers: false };
    expect(coverageStatus(spec(['orders']), coverage)).toMatchObject({ total: 2, uncovered: 1, tables: [{ name: 'public.orders_eu', captured: [] }, { name: 'public.orders' }] });
    expect(coverageConditions(spec(['orders'], 'Record'), coverage)).toMatchObject([
      { type: 'Covered', status: 'False', reason: 'Unlogged' },
      { type: 'SchemaChangesRecorded', status: 'False', reason: 'ByComparison' },
    ]);
    expect(uncoveredReadiness(spec(['orders']), coverage)).toMatchObject({ state: 'reconciling', reason: 'NotCovered' });
    expect(coverageConditions(spec(['orders'], 'Ignore'), coverage)[1]).toMatchObject({ reason: 'NotAskedFor' });
  });

  it('still captures rows where only actors or before-images are missing', () => {
    const coverage = { tables: [table('orders', ['TriggerMissing', 'IdentityReduced'])], eventTriggers: true };
    expect(coverageStatus(spec(['orders']), coverage).tables[0]?.captured).toEqual(['Insert', 'Update']);
  });

  it('is bounded, broken tables first, with the totals', () => {
    const names = Array.from({ length: 200 }, (_, index) => `t${String(index).padStart(3, '0')}`);
    const coverage = { tables: names.map((name, index) => table(name, index >= 150 ? ['Missing'] : [])), eventTriggers: true };
    const status = coverageStatus(spec(names), coverage);
    expect([status.total, status.uncovered, status.tables.length, status.tables[0]?.name]).toEqual([200, 50, 64, 'public.t150']);
    expect(coverageConditions(spec(names), coverage)[0]?.message).toContain('and 45 more');
  });
});

// What an AuditPolicy says of its baseline: nothing unless asked, and why it does not go on.
import { describe, expect, it } from 'vitest';
import { RowsealError } from '../../src/model/errors.ts';
import { baselineCondition } from '../../src/reconcile/baseline-condition.ts';

describe('BaselineComplete', () => {
  it('is absent where no baseline is asked for', () => {
    expect(baselineCondition(undefined)).toEqual({ others: [], clear: ['BaselineComplete'] });
  });

  it.each([
    [{ tables: 2, complete: 2, rows: 10 }, 'True', 'Sealed'],
    [{ tables: 2, complete: 1, rows: 10 }, 'False', 'Reading'],
    [{ tables: 2, complete: 2, rows: 10, problem: new RowsealError('DatabasePrivilege', 'row-level security would hide rows') }, 'False', 'DatabasePrivilege'],
  ])('of %j is %s with reason %s', (status, holds, reason) => {
    expect(baselineCondition(status).others).toEqual([expect.objectContaining({ type: 'BaselineComplete', status: holds, reason })]);
  });
});

// Rows gained and lost by a plan, as lines for a person.
import { counted } from '../model/counted.ts';
import type { RowCounts } from '../ports/policy-database.ts';

export function rowLines({ changes, notCounted = [] }: { readonly changes: RowCounts['changes']; readonly notCounted?: readonly string[] }): readonly string[] {
  const lines = changes.map(({ table, role, test, gained, lost }) => {
    const who = test === undefined ? 'without claims' : `claims of test ${JSON.stringify(test)}`;
    return `${role} on ${table}, ${who}: gains ${counted(gained, 'row')}, loses ${lost}`;
  });
  return [...lines, ...notCounted.map((why) => `not counted: ${why}`)];
}

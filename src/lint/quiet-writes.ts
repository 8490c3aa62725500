// Whether a write that is rolled back leaves no trace: no trigger or rule may carry it outside, and it may not touch too many rows.
import type { CatalogRelation } from '../policy/catalog.ts';
import type { Landscape } from './landscape.ts';

/** Each row written leaves a dead one behind until the next vacuum. */
const mostRows = 10_000;

export function actsQuietly(table: CatalogRelation, command: 'Insert' | 'Update' | 'Delete' | 'Truncate', landscape: Landscape): boolean {
  return [table, ...landscape.descendants(table)].every(
    (each) =>
      (command === 'Truncate' || command === 'Insert' || each.rowEstimate <= mostRows) &&
      each.kind !== 'ForeignTable' &&
      !each.triggers.some((trigger) => trigger.enabled && trigger.events.includes(command)) &&
      !each.rules.some((rule) => rule.enabled && rule.event === command),
  );
}

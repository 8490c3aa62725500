// What writing a view does to tables under row security, when a rule or a trigger does it with somebody else's rights.
import type { CatalogRelation, CatalogRole } from '../policy/catalog.ts';
import type { Witness } from '../policy/witness.ts';
import type { Claims } from './claims.ts';
import type { Landscape } from './landscape.ts';
import { asksUser } from './tenant-columns.ts';
import { tableNameOf, titled } from './words.ts';

export type WriteEvent = 'Insert' | 'Update' | 'Delete';

/** Ordinary roles that may write the relation that way, and that policies on one of the tables bind. */
export function writersOf(relation: CatalogRelation, events: readonly WriteEvent[], tables: readonly CatalogRelation[], landscape: Landscape): readonly CatalogRole[] {
  const holders = events.flatMap((event) => landscape.holders(relation, event.toUpperCase()));
  return landscape.roles.ordinary.filter((role) => holders.includes(role) && !landscape.roles.has(role.oid, relation.owner) && tables.some((table) => landscape.bound(role, table)));
}

/** A view that itself shows a session only its own rows hands on only these to UPDATE and DELETE. */
export function handsOnOwnRows(relation: CatalogRelation, events: readonly WriteEvent[], claims: Claims): boolean {
  const filter = relation.view?.filter;
  return filter !== undefined && asksUser(filter, claims) && !events.includes('Insert');
}

/** DELETE needs no values, and UPDATE can leave them as they are; INSERT is not tried. */
export function writeWitness(relation: CatalogRelation, table: CatalogRelation, events: readonly WriteEvent[], landscape: Landscape): Witness | undefined {
  const writer = (event: WriteEvent) => (events.includes(event) ? landscape.holders(relation, event.toUpperCase()).find((role) => role.oid !== 0 && landscape.bound(role, table)) : undefined);
  const deleting = writer('Delete');
  const updating = deleting === undefined ? writer('Update') : undefined;
  const column = relation.columns[0]?.name;
  const role = deleting ?? updating;
  if (role === undefined || (deleting === undefined && column === undefined)) return undefined;
  return {
    role: role.name,
    kind: 'Cascades',
    from: tableNameOf(relation),
    into: tableNameOf(table),
    ...(deleting === undefined && column !== undefined ? { set: column } : {}),
    shows: `${role.name} changes rows of ${titled(table)} that it does not see`,
  };
}

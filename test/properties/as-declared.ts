// Whether the database means exactly what the oracle says of a state, for some roles and claims, by every command.
import type pg from 'pg';
import { expect } from 'vitest';
import { observeOnce } from './observe-once.ts';
import { reachable, type TableState, type Who, type WorldState, writable } from './oracle.ts';
import type { State } from './states.ts';
import { rows, tableNames } from './world.ts';

export async function expectAsDeclared(admin: pg.Client, { world, state }: { readonly world: WorldState; readonly state: State }, whos: readonly Who[]): Promise<void> {
  for (const who of whos) {
    for (const table of tableNames.filter((name) => isCertain(world[name], state))) {
      const allowed = world[table];
      const seen = await observeOnce(admin, table, who);
      expect({ table, who, ...seen }).toEqual({
        table,
        who,
        selected: [...reachable(allowed, 'Select', who)],
        updated: [...reachable(allowed, 'Update', who)],
        deleted: [...reachable(allowed, 'Delete', who)],
        updatable: rows.filter((row) => seen.updated.includes(row.id) && writable(allowed, 'Update', { ...row, amount: null }, who)).map(({ id }) => id),
        insertable: rows.filter((row) => writable(allowed, 'Insert', row, who)).map(({ id }) => id),
      });
    }
  }
}

/** What a deleted object left behind nobody looks after: when the table that it looks members up in is governed later, it admits fewer rows. */
function isCertain({ orClosed, policies }: TableState, state: State): boolean {
  return policies.length === 0 ? orClosed !== true : policies.every(({ owner }) => state.some(({ name }) => name === owner));
}

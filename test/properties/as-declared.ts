// Whether the database means exactly what the oracle says of a state, for some roles and claims, by every command.
import type pg from 'pg';
import { expect } from 'vitest';
import { observeOnce } from './observe-once.ts';
import { reachable, type Who, type WorldState, writable } from './oracle.ts';
import { rows, tableNames } from './world.ts';

export async function expectAsDeclared(admin: pg.Client, world: WorldState, whos: readonly Who[]): Promise<void> {
  for (const who of whos) {
    for (const table of tableNames.filter((name) => world[name].orClosed !== true)) {
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

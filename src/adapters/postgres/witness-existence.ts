// The witness of an oracle: one made-up tenant inserts a row, another, who does not see it, learns that it is there.
import type { TableName } from '../../policy/table-name.ts';
import type { Shown, Witness } from '../../policy/witness.ts';
import { errorCodeOf } from './database-error.ts';
import { quoteLiteral, quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';

type ExistenceTold = Extract<Witness, { kind: 'ExistenceTold' }>;

/** Acts as the role already, under the first tenant's claims. */
export async function existenceTold(query: RunQuery, act: ExistenceTold): Promise<Shown> {
  await insert(query, act.hidden.table, act.hidden.row);
  for (const [name, value] of Object.entries(act.otherSettings)) await query('select set_config($1, $2, true)', [name, value]);
  if ((await seen(query, act)) > 0) return { result: 'NotShown', detail: 'the other tenant sees the row' };
  await query('savepoint asking');
  try {
    await insert(query, act.asking.table, act.asking.row);
    await query('rollback to savepoint asking');
    return act.told === 'ByAcceptance'
      ? { result: 'Shown', detail: `${act.role} refers to a row that it does not see` }
      : { result: 'NotShown', detail: 'the same key was accepted again' };
  } catch (error) {
    const expected = act.told === 'ByConflict' ? '23505' : undefined;
    if (errorCodeOf(error) !== expected) throw error;
    return { result: 'Shown', detail: `a conflict told ${act.role} of a row that it does not see` };
  }
}

async function insert(query: RunQuery, table: TableName, row: Readonly<Record<string, string>>): Promise<void> {
  const columns = Object.keys(row);
  await query(`insert into ${quoteTable(table)} (${columns.map(quoteName).join(', ')}) values (${Object.values(row).map(quoteLiteral).join(', ')})`);
}

async function seen(query: RunQuery, { hidden }: ExistenceTold): Promise<number> {
  const same = Object.entries(hidden.key).map(([column, value]) => `${quoteName(column)} = ${quoteLiteral(value)}`);
  const [row] = await query<{ count: number }>(`select count(*)::int as count from ${quoteTable(hidden.table)} where ${same.join(' and ')}`);
  return row?.count ?? 0;
}

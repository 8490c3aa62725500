// The witness that writes a table which asks no policy: an empty row, or a column set to what it is.
import type { Shown, Witness } from '../../policy/witness.ts';
import { errorCodeOf } from './database-error.ts';
import { quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';

type WritesOpenly = Extract<Witness, { kind: 'WritesOpenly' }>;

/** Only a missing right, or a policy, answers 42501. A constraint speaks up after the write was allowed, so it shows the same. */
export async function writesOpenly(query: RunQuery, act: WritesOpenly): Promise<Shown> {
  try {
    await query(statementOf(act));
    return { result: 'Shown', detail: `${act.role} wrote it; it was rolled back` };
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === '42501') return { result: 'NotShown', detail: 'a policy was asked, or the right to write is missing' };
    if (code === undefined || !code.startsWith('23')) throw error;
    return { result: 'Shown', detail: `only a constraint stood before the row that ${act.role} wrote, no policy` };
  }
}

function statementOf({ table, command, column }: WritesOpenly): string {
  if (command === 'Insert' || column === undefined) return `insert into ${quoteTable(table)} default values`;
  return `update ${quoteTable(table)} set ${quoteName(column)} = ${quoteName(column)}`;
}

// Whether a write is denied: refused by a policy's check, or touching no row.
import { counted } from '../../model/counted.ts';
import type { ObservedTable } from '../../policy/observed.ts';
import type { PolicyTest } from '../../ports/policy-database.ts';
import { errorCodeOf } from './database-error.ts';
import { asProbe } from './evaluate.ts';
import { canonicalRows, columnNamed, comparableSql, type Row, textOf } from './expectation.ts';
import { insertRow, requireColumns } from './fixture.ts';
import { quoteName, quoteTable } from './quote.ts';
import type { RunQuery } from './run-query.ts';
import { rowIds } from './scratch.ts';

export type Denied = NonNullable<PolicyTest['expect']['denied']>;
type TextRow = Readonly<Record<string, string | null>>;

/** What is needed from before the role is taken: the rows there are, and the values of `where` as the server writes them. */
export interface DeniedSetting {
  readonly rows: readonly string[];
  readonly where: TextRow;
}

export async function prepareDenied(query: RunQuery, table: ObservedTable, denied: Denied): Promise<DeniedSetting> {
  const [where] = await canonicalRows(query, table, denied.where === undefined ? [] : [denied.where]);
  return { rows: await rowIds(query, table), where: where ?? {} };
}

/** As the tested role: undefined when nothing was written, else why not. An error that is no refusal is thrown. */
export async function expectDenied(query: RunQuery, table: ObservedTable, { denied, setting }: { readonly denied: Denied; readonly setting: DeniedSetting }): Promise<string | undefined> {
  try {
    if (denied.command === 'Insert') await insertRow(query, table, denied.row ?? {});
    else await writeRows(query, table, { denied, where: setting.where });
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
  if (denied.command === 'Insert') return 'the row was written, though it should have been refused';
  await asProbe(query);
  const after = new Set(await rowIds(query, table));
  // An updated row has a new place, a deleted one has none.
  const touched = setting.rows.filter((row) => !after.has(row)).length;
  return touched === 0 ? undefined : `${counted(touched, 'row')} ${touched === 1 ? 'was' : 'were'} ${denied.command === 'Update' ? 'updated' : 'deleted'}, though it should have been refused`;
}

/** A missing privilege has the same SQLSTATE as a refused row, so the server's routine tells them apart. */
function isRefusal(error: unknown): boolean {
  const routine = error instanceof Error && 'routine' in error ? error.routine : undefined;
  return errorCodeOf(error) === '42501' && routine === 'ExecWithCheckOptions';
}

/** Without `where` it names no column to read, so that only the policies of the command itself decide, as for an attacker. */
async function writeRows(query: RunQuery, table: ObservedTable, { denied, where }: { readonly denied: Denied; readonly where: TextRow }): Promise<void> {
  const row: Row = denied.row ?? {};
  const names = Object.keys(row);
  requireColumns(table, names);
  const sets = names.map((name, index) => `${quoteName(name)} = $${index + 1}`);
  const conditions = Object.keys(where).map((name, index) => `${comparableSql(quoteName(name), columnNamed(table, name))} is not distinct from $${names.length + index + 1}::text`);
  const head = denied.command === 'Update' ? `update ${quoteTable(table.table)} set ${sets.join(', ')}` : `delete from ${quoteTable(table.table)}`;
  const values = [...names.map((name) => textOf(row[name])), ...Object.keys(where).map((name) => textOf(where[name]))];
  await query(`${head}${conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`}`, values);
}

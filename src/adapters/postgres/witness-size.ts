// Keeps witnesses that write from large tables: what is rolled back leaves a dead row for each that was written.
import type { TableName } from '../../policy/table-name.ts';
import type { Shown, Witness } from '../../policy/witness.ts';
import { quoteLiteral } from './quote.ts';
import type { RunQuery } from './run-query.ts';

const largestBytes = 16 * 1024 * 1024;

/** Why the witness is not acted out; undefined where it may be. Row estimates are missing right after a restore, file sizes never. */
export async function tooLarge(query: RunQuery, witness: Witness): Promise<Shown | undefined> {
  for (const table of writtenBy(witness)) {
    const [row] = await query<{ bytes: string }>(
      `with recursive t as (select ${oidOf(table)} as oid union all select i.inhrelid from pg_inherits i join t on i.inhparent = t.oid) select coalesce(sum(pg_relation_size(t.oid)), 0)::text as bytes from t`,
    );
    if (Number(row?.bytes ?? 0) > largestBytes) return { result: 'NotRun', detail: `${table.schema}.${table.table} is too large to be written for a trial` };
  }
  return undefined;
}

/** Tables of which many rows may be written. */
function writtenBy(witness: Witness): readonly TableName[] {
  switch (witness.kind) {
    case 'WritesUnseen':
      return [witness.table];
    case 'Cascades':
      return [witness.from, witness.into];
    case 'WritesOpenly':
      return witness.command === 'Update' ? [witness.table] : [];
    default:
      return [];
  }
}

/** The catalog is open to everybody, while a cast to regclass needs USAGE on the schema. */
export function oidOf({ schema, table }: TableName): string {
  return `(select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${quoteLiteral(schema)} and c.relname = ${quoteLiteral(table)})`;
}

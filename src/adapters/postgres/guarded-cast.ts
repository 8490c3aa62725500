// Casts that give NULL instead of an error where a text is no value of the type (DESIGN §3, Predicates).
import { quoteLiteral } from './quote.ts';
import { isTextual, type SqlType, typeSql } from './sql-type.ts';

/** Before 16 there is no `pg_input_is_valid`, so a function of ours tries the cast. */
export function guardedCast(value: string, type: SqlType, { versionNumber }: { readonly versionNumber: number }): string {
  if (isTextual(type)) return `cast(${value} as ${typeSql(type)})`;
  const builtIn = versionNumber >= 160_000 && type.softInput;
  const check = builtIn ? 'pg_catalog.pg_input_is_valid' : 'rowseal.input_is_valid';
  return `case when ${check}(${value}, ${quoteLiteral(typeSql(type))}) then cast(${value} as ${typeSql(type)}) end`;
}

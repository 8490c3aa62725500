// A table by schema and name, exactly as the catalog stores them.

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** `schema.table` for people and as a map key; not SQL. */
export function describeTable(name: TableName): string {
  return `${name.schema}.${name.table}`;
}

export function sameTable(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.table === b.table;
}

// A table by schema and name, exactly as the catalog stores them.

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** `schema.table` for people; not SQL. */
export function describeTable(name: TableName): string {
  return `${name.schema}.${name.table}`;
}

/** As a key of maps and sets: names may hold dots, so `schema.table` would be ambiguous. */
export function tableKey({ schema, table }: TableName): string {
  return JSON.stringify([schema, table]);
}

export function sameTable(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.table === b.table;
}

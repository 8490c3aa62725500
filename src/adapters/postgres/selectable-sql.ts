// What a selector may match at all, as SQL over the catalog.

/** Whether a selector may match the pg_class row: no table of an extension, of the system, of one session, or of ours. */
export function selectableSql(relation: string, namespace: string): string {
  return `(${relation}.relpersistence <> 't' and ${namespace}.nspname !~ '^(pg_|rowseal$|information_schema$)'
     and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = ${relation}.oid and d.deptype = 'e'))`;
}

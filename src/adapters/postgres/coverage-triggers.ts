// Whether the statement triggers of a table stand as we made them: both there, always enabled, calling our functions.

/** How many of our triggers stand on the table whose OID the expression gives. */
export function standingTriggersSql(table: string): string {
  return `(select count(*)::int from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid join pg_catalog.pg_namespace f on f.oid = p.pronamespace
    where g.tgrelid = ${table} and g.tgenabled = 'A' and f.nspname = 'rowseal' and not g.tgisinternal
      and ((g.tgname = 'rowseal_open' and p.proname = 'audit_open' and g.tgtype = 62 and g.tgqual is not null)
        or (g.tgname = 'rowseal_close' and p.proname = 'audit_close' and g.tgtype = 60 and g.tgqual is null)))`;
}

export const expectedTriggers = 2;

export function triggersStandSql(table: string): string {
  return `${standingTriggersSql(table)} = ${expectedTriggers}`;
}

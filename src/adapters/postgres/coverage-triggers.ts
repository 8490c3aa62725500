// Whether the statement triggers of a table stand as we made them: both there, always enabled, calling our functions.

/** Rows of a table with parents or children come by several names, so that every statement on it says its end. */
export function inheritsSql(table: string): string {
  return `exists (select from pg_catalog.pg_inherits i where ${table} in (i.inhrelid, i.inhparent))`;
}

/** How many of our triggers are on the table whose OID the expression gives, as we made them or not. */
export function triggersThereSql(table: string): string {
  return `(select count(*)::int from pg_catalog.pg_trigger g where g.tgrelid = ${table} and g.tgname in ('rowseal_open', 'rowseal_close') and not g.tgisinternal)`;
}

export function triggersStandSql(table: string): string {
  return `(select count(*) = 2 from pg_catalog.pg_trigger g join pg_catalog.pg_proc p on p.oid = g.tgfoid join pg_catalog.pg_namespace f on f.oid = p.pronamespace
    where g.tgrelid = ${table} and g.tgenabled = 'A' and f.nspname = 'rowseal' and not g.tgisinternal and g.tgqual is null and g.tgnargs = 0
      and ((g.tgname = 'rowseal_open' and p.proname = 'audit_open' and g.tgtype = 62)
        or (g.tgname = 'rowseal_close' and p.proname = case when ${inheritsSql(table)} then 'audit_end' else 'audit_close' end and g.tgtype = 60)))`;
}

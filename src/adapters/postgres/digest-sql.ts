// The one definition of the digests that PostgreSQL computes: of a table's policies, and of one policy as deparsed.

/** Settings that change how expressions are deparsed; each session that computes a digest must have exactly these. */
export const deparseSettings = [
  ['search_path', 'pg_catalog, pg_temp'],
  ['DateStyle', 'ISO, YMD'],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', 'UTC'],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
  ['quote_all_identifiers', 'off'],
  ['standard_conforming_strings', 'on'],
] as const;

/** Role names of a policy as a sorted array; `PUBLIC` for everybody, and in quotes where a role is called that. `policy` is the alias of a pg_policy row. */
export function policyRolesSql(policy: string): string {
  return `case when ${policy}.polroles = array[0::oid] then array['PUBLIC'::text]
    else array(select case r.rolname when 'PUBLIC' then '"PUBLIC"' else r.rolname::text end from pg_catalog.pg_roles r where r.oid = any (${policy}.polroles) order by r.rolname) end`;
}

/** SHA-256, hex, over name, kind, command, roles and expressions of all policies of the pg_class row, its flags and its owner. */
export function tableDigestSql(relation: string): string {
  return sha256Sql(`json_build_array(${relation}.relrowsecurity, ${relation}.relforcerowsecurity, pg_get_userbyid(${relation}.relowner),
    coalesce((select json_agg(json_build_array(dp.polname, dp.polpermissive, dp.polcmd, ${policyRolesSql('dp')},
        pg_get_expr(dp.polqual, dp.polrelid), pg_get_expr(dp.polwithcheck, dp.polrelid)) order by dp.polname)
      from pg_catalog.pg_policy dp where dp.polrelid = ${relation}.oid), '[]'::json))`);
}

/** SHA-256, hex, over both expressions of the pg_policy row and the helper functions of ours that they call. */
export function policyDeparsedSql(policy: string): string {
  return sha256Sql(`json_build_array(pg_get_expr(${policy}.polqual, ${policy}.polrelid), pg_get_expr(${policy}.polwithcheck, ${policy}.polrelid),
    (select json_agg(json_build_array(pg_get_functiondef(f.oid), pg_get_userbyid(f.proowner)) order by f.oid::regprocedure::text)
       from pg_catalog.pg_depend d join pg_catalog.pg_proc f on f.oid = d.refobjid join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
      where d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = ${policy}.oid
        and d.refclassid = 'pg_catalog.pg_proc'::regclass and fn.nspname = 'rowseal'))`);
}

function sha256Sql(json: string): string {
  return `encode(sha256(convert_to((${json})::text, 'UTF8')), 'hex')`;
}

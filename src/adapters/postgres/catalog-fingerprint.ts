// A text that changes whenever the catalog that lints look at does: so that an unchanged one is not read, linted and acted out again.
import type { RunQuery } from './run-query.ts';

const lasting = 'select oid from pg_catalog.pg_class where relpersistence <> $temp$t$temp$';

/** Catalogs whose row versions say it all; temporary tables come and go, and mean nothing to others. */
const versioned: readonly (readonly [catalog: string, condition: string])[] = [
  ['pg_class', `relpersistence <> 't'`],
  ['pg_attribute', `attrelid in (${lasting})`],
  ['pg_attrdef', `adrelid in (${lasting})`],
  ['pg_index', `indrelid in (${lasting})`],
  ['pg_constraint', `conrelid = 0 or conrelid in (${lasting})`],
  ['pg_trigger', `tgrelid in (${lasting})`],
  ['pg_rewrite', `ev_class in (${lasting})`],
  ['pg_inherits', `inhrelid in (${lasting})`],
  ['pg_policy', 'true'],
  ['pg_proc', 'true'],
  ['pg_namespace', `nspname !~ '^pg_(toast_)?temp_'`],
  ['pg_event_trigger', 'true'],
  ['pg_publication', 'true'],
  ['pg_publication_rel', 'true'],
  ['pg_publication_namespace', 'true'],
];

// A change writes a new row version with a younger xmin, a removal lowers the count; statistics are written in place and count as none.
const versionsSql = versioned.map(([catalog, condition]) => `(select concat_ws(':', count(*), max(xmin::text::int8), sum(xmin::text::int8)) from pg_catalog.${catalog} where ${condition})`);

/** Probe roles are granted and revoked by witnesses themselves. */
const ours = `starts_with(rolname::text, 'rowseal_probe_')`;

const rolesSql = [
  `(select md5(string_agg(concat_ws(' ', oid, rolname, rolsuper, rolbypassrls, rolinherit, rolcanlogin, rolcreaterole, rolreplication), ',' order by oid)) from pg_catalog.pg_roles where not ${ours})`,
  `(select md5(string_agg(to_jsonb(m)::text, ',' order by to_jsonb(m)::text)) from pg_catalog.pg_auth_members m where m.member not in (select oid from pg_catalog.pg_roles where ${ours}))`,
  `(select md5(string_agg(a::text, ',' order by a::text)) from pg_catalog.pg_database d, unnest(d.datacl) a where d.datname = current_database() and not a::text ~ '^"?rowseal_probe_')`,
];

const fingerprintSql = `select md5(concat_ws('|', current_setting('server_version'), ${[...versionsSql, ...rolesSql].map((part) => `coalesce(${part}, '')`).join(', ')})) as fingerprint`;

export async function catalogFingerprint(query: RunQuery): Promise<string> {
  const [row] = await query<{ fingerprint: string }>(fingerprintSql);
  return row?.fingerprint ?? '';
}

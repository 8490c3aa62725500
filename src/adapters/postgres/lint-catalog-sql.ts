// The one query behind a Catalog: every section a list of JSON objects. It reads the system catalog only, as whoever asks.

const inUserSchema = (namespace: string) => `${namespace} not in (select oid from pg_catalog.pg_namespace where nspname in ('pg_catalog', 'information_schema') or nspname ~ '^pg_(toast|temp_|toast_temp_)')`;

const grants = (acl: string, kind: string, owner: string) =>
  `coalesce((select json_agg(json_build_object('grantee', g.grantee::int8, 'privileges', g.privileges)) from (
     select a.grantee, array_agg(distinct a.privilege_type order by a.privilege_type) as privileges
       from pg_catalog.aclexplode(coalesce(${acl}, pg_catalog.acldefault('${kind}', ${owner}))) a group by a.grantee) g), '[]'::json)`;

const extension = (catalog: string, oid: string) =>
  `(select e.extname from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
     where d.classid = 'pg_catalog.${catalog}'::regclass and d.objid = ${oid} and d.deptype = 'e' and d.refclassid = 'pg_catalog.pg_extension'::regclass limit 1)`;

const columnNames = (numbers: string, relation: string) =>
  `(select coalesce(json_agg(a.attname order by at.place), '[]'::json) from unnest(${numbers}) with ordinality at(number, place)
      left join pg_catalog.pg_attribute a on a.attrelid = ${relation} and a.attnum = at.number and at.number > 0)`;

const option = (name: string) => `coalesce((select o.option_value::bool from pg_catalog.pg_options_to_table(c.reloptions) o where o.option_name = '${name}'), false)`;

const ruleTouches = (refclass: string, except: string) =>
  `(select coalesce(json_agg(distinct d.refobjid::int8), '[]'::json) from pg_catalog.pg_depend d
     where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_catalog.${refclass}'::regclass and ${except})`;

const sections = {
  server: `select current_setting('server_version_num')::int as "versionNumber", split_part(current_setting('server_version'), ' ', 1) as version,
      current_database() as database, current_user as "currentRole"`,
  databaseGrants: `select g.grantee::int8 as grantee, array_agg(g.privilege_type::text) as privileges from pg_catalog.pg_database d
      cross join lateral pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) g where d.datname = current_database() group by g.grantee`,
  roles: `select r.oid::int8 as oid, r.rolname as name, r.rolsuper as superuser, r.rolbypassrls as "bypassesRowSecurity", r.rolcanlogin as login,
      r.rolcreaterole as "createRole", r.rolreplication as replication, r.oid::int8 < 16384 as predefined from pg_catalog.pg_roles r order by r.rolname`,
  // Before 16 a membership had no options: the member's own INHERIT decided, and SET ROLE was always allowed.
  memberships: `select m.roleid::int8 as role, m.member::int8 as member, coalesce((to_jsonb(m) ->> 'inherit_option')::bool, r.rolinherit) as inherit,
      coalesce((to_jsonb(m) ->> 'set_option')::bool, true) as set
      from pg_catalog.pg_auth_members m join pg_catalog.pg_roles r on r.oid = m.member order by 1, 2`,
  schemas: `select n.oid::int8 as oid, n.nspname as name, n.nspowner::int8 as owner, ${grants('n.nspacl', 'n', 'n.nspowner')} as grants
      from pg_catalog.pg_namespace n where ${inUserSchema('n.oid')} order by n.nspname`,
  relations: `select c.oid::int8 as oid, n.nspname as schema, c.relname as name, c.relkind as kind, c.relowner::int8 as owner, c.relrowsecurity as "rowSecurity",
      c.relforcerowsecurity as forced, ${option('security_invoker')} as "securityInvoker", ${option('security_barrier')} as "securityBarrier",
      ${extension('pg_class', 'c.oid')} as extension, c.reltuples::int8 as "rowEstimate", ${grants('c.relacl', 'r', 'c.relowner')} as grants,
      (select coalesce(json_agg(i.inhparent::int8 order by i.inhseqno), '[]'::json) from pg_catalog.pg_inherits i where i.inhrelid = c.oid) as parents
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'f') and ${inUserSchema('c.relnamespace')} order by n.nspname, c.relname`,
  columns: `select a.attrelid::int8 as relation, a.attnum as number, a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.atttypmod <> -1 as "hasModifier",
      a.atttypid::int8 as "typeOid", a.attnotnull as "notNull", pg_catalog.pg_get_expr(d.adbin, d.adrelid) as default, a.attidentity <> '' as identity,
      case when a.attacl is null then '[]'::json else ${grants('a.attacl', 'c', 'c.relowner')} end as grants
      from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and ${inUserSchema('c.relnamespace')} order by a.attrelid, a.attnum`,
  // Equality of a domain is its base type's; of an array or enum that of their pseudo-type.
  leakproofTypes: `select distinct t.oid::int8 as oid from pg_catalog.pg_type t
      join pg_catalog.pg_opclass oc on oc.opcdefault and oc.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid) or oc.opcdefault and t.typname = 'varchar' and oc.opcname = 'text_ops' and oc.opcintype = 'text'::regtype
      join pg_catalog.pg_am am on am.oid = oc.opcmethod and am.amname = 'btree'
      join pg_catalog.pg_amop o on o.amopfamily = oc.opcfamily and o.amoplefttype = oc.opcintype and o.amoprighttype = oc.opcintype and o.amopstrategy = 3
      join pg_catalog.pg_operator op on op.oid = o.amopopr join pg_catalog.pg_proc p on p.oid = op.oprcode where p.proleakproof`,
  policies: `select p.polrelid::int8 as relation, p.polname as name, p.polpermissive as permissive, p.polcmd as command,
      (select array_agg(r::int8) from unnest(p.polroles) r) as roles, pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check,
      (select coalesce(json_agg(distinct a.attname), '[]'::json) from pg_catalog.pg_depend d join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = p.polrelid and d.refobjsubid > 0) as columns
      from pg_catalog.pg_policy p order by p.polrelid, p.polname`,
  indexes: `select i.indrelid::int8 as relation, x.relname as name, i.indisunique as unique, i.indisprimary as primary, i.indisvalid as valid, i.indpred is not null as partial,
      ${columnNames('(i.indkey::int2[])[0:i.indnkeyatts - 1]', 'i.indrelid')} as columns
      from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid where ${inUserSchema('x.relnamespace')} order by x.relname`,
  foreignKeys: `select k.conrelid::int8 as relation, k.conname as name, ${columnNames('k.conkey', 'k.conrelid')} as columns, k.confrelid::int8 as references,
      ${columnNames('k.confkey', 'k.confrelid')} as "referencedColumns", k.confdeltype as "onDelete", k.confupdtype as "onUpdate"
      from pg_catalog.pg_constraint k where k.contype = 'f' and k.conparentid = 0 order by k.conname`,
  triggers: `select t.tgrelid::int8 as relation, t.tgname as name, t.tgfoid::int8 as function, t.tgtype::int as type, t.tgenabled <> 'D' as enabled
      from pg_catalog.pg_trigger t where not t.tgisinternal order by t.tgname`,
  rules: `select w.ev_class::int8 as relation, w.rulename as name, w.ev_type as event, w.is_instead as instead, w.ev_enabled <> 'D' as enabled,
      ${ruleTouches('pg_class', `d.deptype = 'n'`)} as touches, pg_catalog.pg_get_ruledef(w.oid) as definition
      from pg_catalog.pg_rewrite w join pg_catalog.pg_class c on c.oid = w.ev_class where w.ev_type <> '1' and ${inUserSchema('c.relnamespace')} order by w.rulename`,
  views: `select w.ev_class::int8 as relation, pg_catalog.pg_get_viewdef(w.ev_class) as definition, ${ruleTouches('pg_class', 'd.refobjid <> w.ev_class')} as reads,
      ${ruleTouches('pg_proc', 'true')} as calls
      from pg_catalog.pg_rewrite w join pg_catalog.pg_class c on c.oid = w.ev_class where w.ev_type = '1' and ${inUserSchema('c.relnamespace')}`,
  functions: `select p.oid::int8 as oid, n.nspname as schema, p.proname as name, pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
      coalesce(pg_catalog.pg_get_function_result(p.oid), '') as returns, p.prokind as kind, p.proowner::int8 as owner, p.prosecdef as definer, p.proleakproof as leakproof,
      p.provolatile as volatility, l.lanname as language, coalesce(p.proconfig, '{}') as settings, x.extension,
      case when l.lanname in ('sql', 'plpgsql') and x.extension is null then coalesce(nullif(p.prosrc, ''), pg_catalog.pg_get_function_sqlbody(p.oid)) end as source,
      ${grants('p.proacl', 'f', 'p.proowner')} as grants
      from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace join pg_catalog.pg_language l on l.oid = p.prolang
      cross join lateral (select ${extension('pg_proc', 'p.oid')} as extension) x
      where ${inUserSchema('p.pronamespace')} order by n.nspname, p.proname, p.oid`,
  publications: `select p.pubname as name, p.pubowner::int8 as owner, p.puballtables as "allTables",
      (select coalesce(json_agg(distinct t.relid::int8), '[]'::json) from pg_catalog.pg_get_publication_tables(p.pubname) t where not p.puballtables) as tables
      from pg_catalog.pg_publication p order by p.pubname`,
};

export const lintCatalogSql = `select json_build_object(${Object.entries(sections)
  .map(([name, sql]) => `'${name}', (select coalesce(json_agg(s), '[]'::json) from (${sql}) s)`)
  .join(',\n')}) as catalog`;

// What decides over rows beside policies: roles, memberships, settings, rights, functions. One row an item, as SQL (DESIGN §7, environment).

/** Probe roles come and go with our own tests, and are bound by nothing they read. */
const notProbe = (name: string) => `${name} !~ '^rowseal_probe_'`;

/** Equal values stay equal, and nobody without the message key can guess what they were: passwords and settings of applications are secrets. */
const keyed = (value: string) => `(select 'keyed:' || left(encode(sha256(k.inner_pad || convert_to(${value}, 'UTF8')), 'hex'), 32) from rowseal.audit_key k)`;

/** Names of settings whose values are told: PostgreSQL's own, but none that may hold a password, a command or a path to one. */
const toldSetting = (name: string) => `(${name} !~ '[.]' and ${name} !~* '(conninfo|password|passphrase|_command|secret)')`;
const settingValue = (name: string, value: string) => `case when ${toldSetting(name)} then to_jsonb(${value}) else to_jsonb(${keyed(value)}) end`;

/** Null where nobody changed the rights that a new object has. */
const rights = (acl: string) => `case when ${acl} is not null then to_jsonb(array(select a::text from unnest(${acl}) a where a::text !~ '^"?rowseal_probe_' order by 1)) end`;

interface Readable {
  /** pg_authid, pg_file_settings, pg_hba_file_rules. */
  readonly superuser: boolean;
}

/** `$1` names the capture, whose tables' rights and policies count. Items that a role may not read are left out, the same every time. */
export function environmentSql({ superuser }: Readable): string {
  const password = superuser
    ? `|| jsonb_build_object('password', (select case when a.rolpassword is not null then ${keyed('a.rolpassword')} end from pg_authid a where a.oid = r.oid))`
    : '';
  const parts = [
    `select 'role', r.rolname::text, to_jsonb(r) - 'oid' - 'rolname' - 'rolpassword' - 'rolconfig' ${password} from pg_roles r where ${notProbe('r.rolname')}`,
    `select 'membership', quote_ident(g.rolname) || ' -> ' || quote_ident(m.rolname), jsonb_agg(to_jsonb(x) - 'oid' - 'roleid' - 'member' - 'grantor' order by (to_jsonb(x) - 'oid' - 'grantor')::text)
       from pg_auth_members x join pg_roles g on g.oid = x.roleid join pg_roles m on m.oid = x.member where ${notProbe('m.rolname')} group by g.rolname, m.rolname`,
    `select 'setting', concat_ws(' ', s.name, case when x.setdatabase <> 0 then 'in database ' || quote_ident(d.datname) end, case when x.setrole <> 0 then 'for role ' || quote_ident(r.rolname) end), ${settingValue('s.name', 's.value')}
       from pg_db_role_setting x left join pg_roles r on r.oid = x.setrole left join pg_database d on d.oid = x.setdatabase,
            lateral (select split_part(c, '=', 1) as name, substr(c, strpos(c, '=') + 1) as value from unnest(x.setconfig) c) s
      where x.setdatabase in (0, (select oid from pg_database where datname = current_database())) and (r.rolname is null or ${notProbe('r.rolname')})`,
    superuser
      ? `select 'server setting', f.name, ${settingValue('f.name', `coalesce(string_agg(f.setting, ' ' order by f.seqno desc), '')`)} from pg_file_settings f where f.name is not null group by f.name`
      : `select 'server setting', p.name, ${settingValue('p.name', 'p.reset_val')} from pg_settings p where p.source = 'configuration file'`,
    superuser
      ? `select 'access rules', 'pg_hba.conf', to_jsonb(${keyed(`coalesce((select string_agg((to_jsonb(h) - 'line_number' - 'rule_number' - 'file_name')::text, '|' order by h.line_number) from pg_hba_file_rules h), '')`)})`
      : `select null::text, null::text, null::jsonb where false`,
    `select 'database', d.datname::text, jsonb_build_object('owner', o.rolname, 'rights', ${rights('d.datacl')}) from pg_database d join pg_roles o on o.oid = d.datdba where d.datname = current_database()`,
    `select 'schema', n.nspname::text, jsonb_build_object('owner', o.rolname, 'rights', ${rights('n.nspacl')}) from pg_namespace n join pg_roles o on o.oid = n.nspowner
      where exists (select from rowseal.audited a join pg_class c on c.oid = a.relation where a.capture = $1 and c.relnamespace = n.oid)`,
    `select 'table', c.oid::regclass::text, jsonb_strip_nulls(jsonb_build_object('owner', o.rolname, 'rights', ${rights('c.relacl')},
         'columns', (select jsonb_object_agg(t.attname, ${rights('t.attacl')}) from pg_attribute t where t.attrelid = c.oid and t.attacl is not null)))
       from rowseal.audited a join pg_class c on c.oid = a.relation join pg_roles o on o.oid = c.relowner where a.capture = $1`,
    `select 'default rights', concat_ws(' ', o.rolname, n.nspname, d.defaclobjtype), ${rights('d.defaclacl')} from pg_default_acl d join pg_roles o on o.oid = d.defaclrole left join pg_namespace n on n.oid = d.defaclnamespace`,
    `select 'function', p.oid::regprocedure::text, jsonb_build_object('owner', o.rolname, 'rights', ${rights('p.proacl')}, 'definition', 'sha256:' || encode(sha256(convert_to(pg_get_functiondef(p.oid), 'UTF8')), 'hex'))
       from pg_proc p join pg_roles o on o.oid = p.proowner where p.prokind in ('f', 'p') and (
         p.oid in (select x.refobjid from pg_depend x join pg_policy y on y.oid = x.objid and x.classid = 'pg_policy'::regclass
                    where x.refclassid = 'pg_proc'::regclass and y.polrelid in (select relation from rowseal.audited where capture = $1))
         or p.oid in (select g.tgfoid from pg_trigger g where not g.tgisinternal and g.tgrelid in (select relation from rowseal.audited where capture = $1)))`,
    `select 'event trigger', e.evtname::text, jsonb_build_object('event', e.evtevent, 'enabled', e.evtenabled, 'function', e.evtfoid::regproc::text, 'owner', o.rolname)
       from pg_event_trigger e join pg_roles o on o.oid = e.evtowner`,
  ];
  return `select e.kind, e.name, e.value from (${parts.join('\nunion all ')}) e(kind, name, value)`;
}

/** The same, as one short text: equal texts mean that nothing has to be read. */
export function environmentFingerprintSql(readable: Readable): string {
  return `select md5(string_agg(concat_ws(' ', e.kind, e.name, e.value::text), '|' order by e.kind, e.name, e.value::text)) as fingerprint from (${environmentSql(readable)}) e`;
}

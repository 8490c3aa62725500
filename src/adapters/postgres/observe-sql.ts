// The one query that reads everything the policy flow needs to know about tables and roles.
import { likePattern } from '../../policy/target.ts';
import type { ObservationRequest } from '../../ports/policy-database.ts';
import { policyDeparsedSql, policyRolesSql, tableDigestSql } from './digest-sql.ts';
import { guardActiveSql, guardKnownSql } from './guard-sql.ts';
import { helpersAstraySql } from './helper-rights.ts';
import { selectableSql } from './selectable-sql.ts';

export interface Installed {
  /** Whether our records are there; without them the query must not name them. */
  readonly records: boolean;
  readonly digestFunction: boolean;
  readonly guard: boolean;
}

/** The values of observeSql's parameters, in order. */
export function observeParameters({ owner, target, tables, roles }: ObservationRequest): readonly unknown[] {
  const { namePattern, hasColumns } = target?.selector ?? {};
  const selector = [target?.tables ?? null, namePattern === undefined ? null : likePattern(namePattern), hasColumns ?? []];
  return [tables.map((name) => name.schema), tables.map((name) => name.table), roles, owner, target?.schema ?? null, ...selector];
}

/**
 * Parameters: $1 schemas and $2 names of tables, pairwise, $3 role names, $4 the owner whose recorded tables are wanted, too;
 * of the target $5 the schema, $6 its table names or null for a selector, $7 the LIKE pattern of names, $8 columns.
 */
export function observeSql({ records, digestFunction, guard }: Installed): string {
  const recorded = records
    ? // As a whole row, so that records of an older installation, which lacks columns, can be read, too.
      `(select to_json(gp) from rowseal.governed_policy gp where gp.table_oid = p.polrelid and gp.policy_name = p.polname)`
    : 'null::json';
  const applied = records
    ? `coalesce((select json_agg(json_build_object('name', gp.policy_name, 'owner', gp.owner, 'state', gp.state, 'roles',
            array(select k.name from jsonb_array_elements_text(coalesce(to_jsonb(gp) -> 'roles', '[]')) k(name)
              where k.name = 'PUBLIC' or exists (select from pg_catalog.pg_roles r where r.rolname = k.name))) order by gp.policy_name)
          from rowseal.governed_policy gp where gp.table_oid = c.oid), '[]'::json)`
    : `'[]'::json`;
  const declared = records ? `coalesce((select gt.declared from rowseal.governed_table gt where gt.table_oid = c.oid), '')` : `''`;
  const before = records
    ? `(select json_build_object('rowSecurity', gt.row_security_before, 'forced', gt.forced_before) from rowseal.governed_table gt where gt.table_oid = c.oid)`
    : 'null::json';
  // As a whole row, too: an older installation lacks the column.
  const bornClosed = records ? `coalesce((select to_jsonb(gt) -> 'pending_owners' ? $4::text from rowseal.governed_table gt where gt.table_oid = c.oid), false)` : 'false';
  const admitted = records ? `coalesce((select json_agg(distinct gp.state) from rowseal.governed_policy gp where gp.owner = $4::text), '[]'::json)` : `'[]'::json`;
  return `
${wantedSql(records)}select json_build_object(
  'versionNumber', current_setting('server_version_num')::int,
  'currentRole', current_user,
  'revision', ${records ? `coalesce((select o.revision from rowseal.policy_owner o where o.owner = $4::text), 0)` : '0'},
  'bypassesRowSecurity', (select r.rolsuper or r.rolbypassrls from pg_catalog.pg_roles r where r.rolname = current_user),
  'admitted', ${admitted},
  'guard', json_build_object('active', ${guardActiveSql}, 'known', ${guard ? guardKnownSql : 'null::json'}),
  'roles', coalesce((select json_agg(json_build_object('name', r.rolname, 'superuser', r.rolsuper, 'bypassesRowSecurity', r.rolbypassrls) order by r.rolname)
     from pg_catalog.pg_roles r where r.rolname = any ($3::text[])), '[]'::json),
  'tables', coalesce((select json_agg(json_build_object(
     'schema', c.nspname, 'table', c.relname, 'oid', c.oid, 'relationKind', c.relkind,
     'parents', coalesce((select json_agg(json_build_object('schema', pn.nspname, 'table', pc.relname) order by i.inhseqno) from pg_catalog.pg_inherits i
        join pg_catalog.pg_class pc on pc.oid = i.inhparent join pg_catalog.pg_namespace pn on pn.oid = pc.relnamespace where i.inhrelid = c.oid), '[]'::json),
     'selectable', ${selectableSql('c', 'c')},
     'owner', pg_get_userbyid(c.relowner), 'owned', pg_has_role(c.relowner, 'USAGE'),
     'rowSecurity', c.relrowsecurity, 'forced', c.relforcerowsecurity, 'readers', ${readersSql()},
     'digest', ${digestFunction ? 'rowseal.policy_digest(c.oid)' : tableDigestSql('c')},
     'before', ${before}, 'applied', ${applied}, 'declared', ${declared}, 'bornClosed', ${bornClosed},
     'columns', ${columnsSql()}, 'indexes', ${indexesSql()},
     'policies', coalesce((select json_agg(json_build_object(
        'name', p.polname, 'permissive', p.polpermissive, 'command', p.polcmd, 'roles', ${policyRolesSql('p')},
        'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
        'deparsed', ${policyDeparsedSql('p')}, 'comment', obj_description(p.oid, 'pg_policy'), 'record', ${recorded},
        'helpersAstray', exists (select from pg_catalog.pg_depend hd join helpers_astray h on h.oid = hd.refobjid
           where hd.classid = 'pg_catalog.pg_policy'::regclass and hd.objid = p.oid and hd.refclassid = 'pg_catalog.pg_proc'::regclass)
       ) order by p.polname) from pg_catalog.pg_policy p where p.polrelid = c.oid), '[]'::json)
   ) order by c.nspname, c.relname) from relations c), '[]'::json)
) as observation`;
}

/** The tables to observe: the target with its descendants, those asked for or recorded, and the ancestors of all. */
function wantedSql(records: boolean): string {
  return `with recursive family as (
  select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = $5::text and (c.relname = any ($6::text[]) or ($6::text[] is null and c.relkind in ('r', 'p', 'f', 'm')
     and ($7::text is null or c.relname like $7::text) and ${selectableSql('c', 'n')}
     and not exists (select from unnest($8::text[]) as w(name) where not exists (
       select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = w.name and a.attnum > 0 and not a.attisdropped))))
  union select i.inhrelid from pg_catalog.pg_inherits i join family f on f.oid = i.inhparent join pg_catalog.pg_class c on c.oid = i.inhrelid
   where c.relpersistence <> 't'
), asked as (
  select f.oid from family f
  union select c.oid from unnest($1::text[], $2::text[]) as w(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = w.schema join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name
  union select p.polrelid from pg_catalog.pg_policy p join pg_catalog.pg_description d on d.objoid = p.oid and d.classoid = 'pg_catalog.pg_policy'::regclass
    where starts_with(d.description, 'rowseal owner=' || $4::text || ' ')
  ${records ? 'union select gp.table_oid from rowseal.governed_policy gp where gp.owner = $4::text' : ''}
), wanted as (
  select a.oid from asked a union select i.inhparent from pg_catalog.pg_inherits i join wanted w on w.oid = i.inhrelid
), relations as (
  select c.*, n.nspname from pg_catalog.pg_class c join wanted w on w.oid = c.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f')
), helpers_astray as materialized (${helpersAstraySql}
)
`;
}

/** Asked only where row security does not bind everybody yet: it is a call for every role. */
function readersSql(): string {
  return `case when c.relrowsecurity and c.relforcerowsecurity then '[]'::json else coalesce((
      select json_agg(json_build_object('name', r.rolname, 'actsAs',
          array(select w.rolname from pg_catalog.pg_roles w where w.rolname = any ($3::text[]) and pg_has_role(r.oid, w.oid, 'USAGE'))) order by r.rolname)
        from pg_catalog.pg_roles r
       where not r.rolsuper and not r.rolbypassrls and r.rolname !~ '^pg_' and r.rolname <> current_user
         and (r.oid = c.relowner or has_table_privilege(r.oid, c.oid, 'SELECT'))), '[]'::json) end`;
}

/** Key columns in order; null for an expression. */
function indexesSql(): string {
  return `coalesce((select json_agg(json_build_object('valid', i.indisvalid and i.indisready, 'partial', i.indpred is not null,
      'columns', (select json_agg(a.attname order by k.place) from unnest(i.indkey::int2[]) with ordinality as k(number, place)
         left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number and k.number <> 0 where k.place <= i.indnkeyatts)) order by i.indexrelid)
    from pg_catalog.pg_index i where i.indrelid = c.oid), '[]'::json)`;
}

/** Columns with the base type under any domain, where its own equality lives, and whether its input errors can be caught. */
function columnsSql(): string {
  return `coalesce((select json_agg(json_build_object(
      'name', a.attname, 'typeSchema', bn.nspname, 'typeName', b.typname, 'declaredType', format_type(a.atttypid, a.atttypmod),
      'category', b.typcategory, 'operatorSchema', ${operatorSchemaSql('b')}, 'softInput', ${softInputSql('b')},
      'collation', (select l.oid::regcollation::text from pg_catalog.pg_collation l where l.oid = a.attcollation and l.oid <> '"default"'::regcollation),
      'element', (select json_build_object('schema', en.nspname, 'name', e.typname, 'category', e.typcategory,
           'operatorSchema', ${operatorSchemaSql('e')}, 'softInput', ${softInputSql('e')})
         from pg_catalog.pg_type e join pg_catalog.pg_namespace en on en.oid = e.typnamespace where e.oid = ${elementSql('b')})
    ) order by a.attnum)
    from pg_catalog.pg_attribute a
    cross join lateral (with recursive bases as (
        select t.oid, t.typtype, t.typbasetype from pg_catalog.pg_type t where t.oid = a.atttypid
        union all select t.oid, t.typtype, t.typbasetype from pg_catalog.pg_type t join bases on t.oid = bases.typbasetype where bases.typtype = 'd'
      ) select bases.oid from bases where bases.typtype <> 'd') base
    join pg_catalog.pg_type b on b.oid = base.oid join pg_catalog.pg_namespace bn on bn.oid = b.typnamespace
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'::json)`;
}

/** Where the equality operator of the type's default index class is; `type` is the alias of a pg_type row. */
function operatorSchemaSql(type: string): string {
  return `coalesce((select n.nspname from pg_catalog.pg_opclass oc join pg_catalog.pg_am am on am.oid = oc.opcmethod and am.amname = 'btree'
         join pg_catalog.pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amoplefttype = ${type}.oid and ao.amoprighttype = ${type}.oid and ao.amopstrategy = 3
         join pg_catalog.pg_operator o on o.oid = ao.amopopr join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
         where oc.opcintype = ${type}.oid and oc.opcdefault limit 1), 'pg_catalog')`;
}

/** A domain's input runs its constraints, which may raise anything. */
function softInputSql(type: string): string {
  return `(select bool_and(n.nspname = 'pg_catalog' and t.typtype <> 'd') from pg_catalog.pg_type t join pg_catalog.pg_proc f on f.oid = t.typinput
         join pg_catalog.pg_namespace n on n.oid = f.pronamespace where t.oid in (${type}.oid, ${elementSql(type)}))`;
}

function elementSql(type: string): string {
  return `coalesce(nullif(${type}.typelem, 0::oid), (select r.rngsubtype from pg_catalog.pg_range r where ${type}.oid in (r.rngtypid, r.rngmultitypid)))`;
}

// Keeps helper functions to exactly what the policies need: those that none calls are dropped, the others are for their callers' roles alone.
import type { RunQuery } from './run-query.ts';

interface HelperRow {
  readonly signature: string;
  readonly called: boolean;
  /** Roles, in SQL, of the policies that call it, whichever RowPolicy made them: helpers are named by content, so that several share one. */
  readonly wanted: readonly string[];
  /** Roles that may execute it, its owner left out. */
  readonly granted: readonly string[];
}

/** Inside the applying transaction, after its steps. A helper reads past row security, so a role that left its policies loses it. */
export async function tidyHelpers(query: RunQuery): Promise<void> {
  for (const { signature, called, wanted, granted } of await query<HelperRow>(helpersSql)) {
    if (!called) {
      await query(`drop function ${signature}`);
      continue;
    }
    // A grant to everybody covers the others.
    const roles = wanted.includes('public') ? ['public'] : wanted;
    const gone = granted.filter((role) => !roles.includes(role));
    const missing = roles.filter((role) => !granted.includes(role));
    // Cascading to those whom a stranger let in, who was given the right to.
    if (gone.length > 0) await query(`revoke execute on function ${signature} from ${gone.join(', ')} cascade`);
    if (missing.length > 0) await query(`grant execute on function ${signature} to ${missing.join(', ')}`);
  }
}

const helpersSql = `
select f.oid::regprocedure::text as signature,
       exists (select from pg_catalog.pg_depend d where d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = f.oid) as called,
       array(select distinct case u.role when 0 then 'public' else quote_ident(pg_get_userbyid(u.role)) end
               from pg_catalog.pg_depend d join pg_catalog.pg_policy p on p.oid = d.objid cross join unnest(p.polroles) u(role)
              where d.classid = 'pg_catalog.pg_policy'::regclass and d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = f.oid and u.role <> f.proowner) as wanted,
       array(select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
               from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a where a.grantee <> f.proowner) as granted
  from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
 where n.nspname = 'rowseal' and f.proname ~ '^member_[0-9a-f]{24}$' order by 1`;

/** Helpers that somebody may call whom no policy lets, or the other way round; each looked at once, however many policies share it. */
export const helpersAstraySql = `
select f.oid from pg_catalog.pg_proc f join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
  cross join lateral (select array(select distinct u.role from pg_catalog.pg_depend d join pg_catalog.pg_policy p on p.oid = d.objid cross join unnest(p.polroles) u(role)
     where d.classid = 'pg_catalog.pg_policy'::regclass and d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = f.oid and u.role <> f.proowner order by 1) as roles) w
 where fn.nspname = 'rowseal' and f.proname ~ '^member_[0-9a-f]{24}$'
   and (case when 0 = any (w.roles) then array[0::oid] else w.roles end) <>
       array(select distinct a.grantee from aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a where a.grantee <> f.proowner order by 1)`;

// After a role change cached plans still filter as before it: a revoked role, or one that lost BYPASSRLS, kept its rows in prepared statements (measured on 15 to 18).
import type { Clock } from '../../ports/clock.ts';
import { statementError } from './database-error.ts';
import type { Fence } from './fence.ts';
import { quoteName } from './quote.ts';
import type { RunQuery, Session } from './session.ts';

export const environmentSchemaSql: readonly string[] = [
  // Roles as they were when every cached plan was last made anew.
  'create table if not exists rowseal.role_environment (only_row boolean primary key default true check (only_row), digest text not null)',
  'revoke all on rowseal.role_environment from public',
];

export interface RoleChangesOptions {
  readonly session: Pick<Session, 'exclusively' | 'transaction'>;
  readonly clock: Clock;
  readonly fence?: Pick<Fence, 'require'>;
}

/** Many RowPolicies of a database ask at every look; one of them does it for all. */
const everyMs = 5_000;

/** What decides whom policies bind. The probe's memberships come and go with our own tests, and it is bound by nothing it reads. */
const digestSql = `select encode(sha256(convert_to(concat(
    (select string_agg(concat_ws(' ', r.oid, r.rolsuper, r.rolbypassrls, r.rolinherit), ',' order by r.oid) from pg_catalog.pg_roles r where r.rolname !~ '^rowseal_probe_'), '|',
    (select string_agg((to_jsonb(m) - 'oid' - 'grantor')::text, ',' order by m.roleid, m.member, (to_jsonb(m) - 'oid' - 'grantor')::text) from pg_catalog.pg_auth_members m
       join pg_catalog.pg_roles r on r.oid = m.member where r.rolname !~ '^rowseal_probe_')), 'UTF8')), 'hex') as digest`;

/** Storage parameters under a weak lock; resetting one that is not set changes nothing but makes every session plan anew. */
const harmless = ['toast_tuple_target', 'autovacuum_vacuum_threshold', 'autovacuum_analyze_threshold', 'autovacuum_freeze_min_age', 'log_autovacuum_min_duration'];

/** Returns how to look; it resolves to how many tables' plans were thrown away. Throws WaitingForLock, Fenced. */
export function createRoleChanges({ session, clock, fence }: RoleChangesOptions): (signal: AbortSignal) => Promise<number> {
  let lookedAtMs = -Infinity;
  return async (signal) => {
    if (clock.monotonicMs() - lookedAtMs < everyMs) return 0;
    lookedAtMs = clock.monotonicMs();
    try {
      const changed = await session.exclusively(readChange, signal);
      if (changed === undefined) return 0;
      for (const name of changed.tables) await session.transaction((query) => forgetPlans(query, name, fence), signal);
      // If we die before this, the next look throws the plans away once more.
      await session.transaction(async (query) => {
        await fence?.require(query);
        await query('insert into rowseal.role_environment (digest) values ($1) on conflict (only_row) do update set digest = excluded.digest', [changed.digest]);
      }, signal);
      return changed.tables.length;
    } catch (error) {
      lookedAtMs = -Infinity;
      signal.throwIfAborted();
      throw statementError(error, 'making sessions plan anew after a role change', 'governed tables');
    }
  };
}

interface Changed {
  readonly digest: string;
  /** In SQL. */
  readonly tables: readonly { readonly name: string; readonly parameter: string }[];
}

async function readChange(query: RunQuery): Promise<Changed | undefined> {
  const [installed] = await query<{ present: boolean }>(`select to_regclass('rowseal.role_environment') is not null as present`);
  if (installed?.present !== true) return undefined;
  const [now] = await query<{ digest: string; known: string | null }>(`select d.digest, (select e.digest from rowseal.role_environment e) as known from (${digestSql}) d`);
  if (now === undefined || now.digest === now.known) return undefined;
  const tables = await query<{ name: string; parameter: string }>(
    `select c.oid::regclass::text as name,
            (select p.name from unnest($1::text[]) with ordinality as p(name, place)
              where not exists (select from unnest(c.reloptions) as o(setting) where starts_with(o.setting, p.name || '=')) order by p.place limit 1) as parameter
       from pg_catalog.pg_class c where c.oid in (select table_oid from rowseal.governed_policy) and c.relkind in ('r', 'p') and pg_has_role(c.relowner, 'USAGE') order by c.oid`,
    [harmless],
  );
  return { digest: now.digest, tables: tables.filter(({ parameter }) => parameter !== null) };
}

async function forgetPlans(query: RunQuery, { name, parameter }: Changed['tables'][number], fence: RoleChangesOptions['fence']): Promise<void> {
  await query(`set local lock_timeout = '500ms'`);
  await fence?.require(query);
  await query(`alter table only ${name} reset (${quoteName(parameter)})`);
}

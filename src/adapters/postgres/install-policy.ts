// Installs schema rowseal, once a version: a database that has it already is not written to.
import { statementError } from './database-error.ts';
import { guardActiveSql } from './guard-sql.ts';
import { asCreatedSql } from './own-functions.ts';
import { policySchemaSql, policySchemaVersion } from './policy-schema.ts';
import { quoteLiteral } from './quote.ts';
import type { RunQuery, Session } from './session.ts';

/** Throws DatabasePrivilege where our role may not create the schema. */
export async function installPolicySchema(session: Pick<Session, 'transaction'>, signal: AbortSignal): Promise<void> {
  try {
    await session.transaction(async (query) => {
      if (await installed(query)) return;
      for (const statement of policySchemaSql) await query(statement);
      await query(`comment on function rowseal.policy_digest(oid) is ${quoteLiteral(policySchemaVersion)}`);
      // If we die before this commits, nothing is there and the restart installs it; after it, the comment says so.
    }, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw statementError(error, 'installing schema rowseal', 'schema rowseal');
  }
}

/** Brings what an earlier version installed up to date; a database where nothing of ours is stays as it is. */
export async function upgradePolicySchema(session: Pick<Session, 'transaction' | 'exclusively'>, signal: AbortSignal): Promise<void> {
  const [row] = await session.exclusively((query) => query<{ present: boolean }>(`select to_regprocedure('rowseal.policy_digest(oid)') is not null as present`), signal);
  if (row?.present === true) await installPolicySchema(session, signal);
}

async function installed(query: RunQuery): Promise<boolean> {
  const [row] = await query<{ version: string | null; complete: boolean }>(
    `select obj_description(to_regprocedure('rowseal.policy_digest(oid)'), 'pg_proc') as version,
            to_regclass('rowseal.governed_table') is not null and to_regclass('rowseal.policy_owner') is not null and to_regclass('rowseal.governed_policy') is not null and to_regclass('rowseal.guarded') is not null and to_regclass('rowseal.fence') is not null
            and ${asCreatedSql(policySchemaSql)}
            and ((exists (select from pg_event_trigger where evtname = 'rowseal_drift' and evtenabled in ('O', 'A')) and ${guardActiveSql})
                 or not (select rolsuper from pg_roles where rolname = current_user)) as complete`,
  );
  return row?.complete === true && row.version === policySchemaVersion;
}

// What proves that a statement's message is ours: that nobody else may write one, or else an HMAC (DESIGN §5, Who; docs/actors.md).
import { createHash } from 'node:crypto';
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { auditObjects } from './audit-functions.ts';
import { auditedColumnTableSql } from './column-catalog.ts';
import { environmentTableSql } from './environment.ts';
import { unsaidTableSql } from './unsaid.ts';
import { asCreatedSql } from './own-functions.ts';
import { quoteLiteral } from './quote.ts';
import type { RunQuery } from './run-query.ts';
import { type StatementFunctions, statementObjects } from './statement-functions.ts';

export interface Installable {
  readonly functions: StatementFunctions;
  readonly superuser: boolean;
  readonly objects: readonly string[];
  readonly eventObjects: readonly string[];
  /** Comment on `rowseal.audit_open()`. */
  readonly version: string;
}

const keyStandsSql = `select exists (select from pg_attribute where attrelid = to_regclass('rowseal.audit_key') and attname = 'proof') as there`;
const functionsOfServer = `p.proname = 'pg_logical_emit_message' and p.pronamespace = 'pg_catalog'::regnamespace`;

/** Whether anybody but superusers may write messages. A grant through membership in a superuser needs no look: such a member is one. */
const othersMayWriteSql = (grantee: string) => `exists (select from pg_catalog.pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    left join pg_catalog.pg_roles r on r.oid = a.grantee where ${functionsOfServer} and ${grantee})`;
const othersSql = othersMayWriteSql('r.rolsuper is distinct from true');
const everybodySql = othersMayWriteSql('a.grantee = 0');
const namedSql = othersMayWriteSql('a.grantee <> 0 and r.rolsuper is distinct from true');

/** What this version installs on the server as it is now. */
export async function installable(query: RunQuery, claims: ClaimsConfiguration, eventObjectsOf: (functions: StatementFunctions) => readonly string[]): Promise<Installable> {
  const [row] = await query<{ superuser: boolean; encoding: string; checks: boolean }>(
    `select (select rolsuper from pg_roles where rolname = current_user) as superuser, getdatabaseencoding()::text as encoding,
       to_regprocedure('rowseal.signed_claims(text, text)') is not null as checks`,
  );
  const superuser = row?.superuser === true;
  const functions: StatementFunctions = {
    proof: superuser ? await readProof(query) : 'Hmac',
    claims,
    checksClaims: row?.checks === true,
    closes: superuser ? 'Nested' : 'Always',
    encoding: row?.encoding ?? 'UTF8',
  };
  const objects = [...auditObjects(functions), ...environmentTableSql, ...auditedColumnTableSql, ...unsaidTableSql];
  const eventObjects = eventObjectsOf(functions);
  const version = `rowseal audit ${createHash('sha256').update([...objects, ...eventObjects].join('\n')).digest('hex')}`;
  return { functions, superuser, objects, eventObjects, version };
}

/**
 * Takes the right to write messages from PUBLIC, if that is all that others have it by: who granted it by name needs it. Only from
 * the next look on is it known since when: a revocation holds from its commit.
 */
export async function revokeMessages(query: RunQuery, { superuser }: Installable): Promise<void> {
  if (!superuser) return;
  const [row] = await query<{ everybody: boolean; named: boolean; functions: readonly string[] }>(
    `select ${everybodySql} as everybody, ${namedSql} as named, array(select p.oid::regprocedure::text from pg_proc p where ${functionsOfServer} order by 1) as functions`,
  );
  if (row?.everybody !== true || row.named) return;
  // PostgreSQL wrote these names, quoted as needed.
  for (const name of row.functions) await query(`revoke execute on function ${name} from public`);
  await query(`update rowseal.audit_key set revoked_at = 'infinity'`);
}

/** With the last capture everybody has again what they had. */
export async function restoreMessages(query: RunQuery): Promise<void> {
  const [row] = await query<{ revoked: boolean; functions: readonly string[] }>(
    `select exists (select from rowseal.audit_key where revoked_at is not null) as revoked, array(select p.oid::regprocedure::text from pg_proc p where ${functionsOfServer} order by 1) as functions`,
  );
  if (row?.revoked !== true) return;
  for (const name of row.functions) await query(`grant execute on function ${name} to public`);
  await query(`update rowseal.audit_key set revoked_at = null, proof = 'Hmac'`);
}

/** What is relied on now. */
export async function readProof(query: RunQuery): Promise<StatementFunctions['proof']> {
  const [there] = await query<{ there: boolean }>(keyStandsSql);
  if (there?.there !== true) return 'Hmac';
  const [row] = await query<{ proof: StatementFunctions['proof'] }>('select proof from rowseal.audit_key');
  return row?.proof ?? 'Hmac';
}

type ProofStep = 'NoteRevocation' | 'RelyOnPrivilege' | 'RelyOnHmac' | undefined;

/** What is to be done next. A statement begun before the revocation may still write messages, so its transaction is waited for; superusers always may. */
export async function nextProofStep(query: RunQuery): Promise<ProofStep> {
  const [there] = await query<{ there: boolean }>(keyStandsSql);
  if (there?.there !== true) return undefined;
  const [row] = await query<{ proof: string; others: boolean; noted: boolean | null; older: boolean }>(
    `select k.proof, ${othersSql} as others, k.revoked_at <> 'infinity' as noted,
       exists (select from pg_stat_activity a where a.datname = current_database() and a.pid <> pg_backend_pid() and a.xact_start <= k.revoked_at
         and not exists (select from pg_roles r where r.oid = a.usesysid and r.rolsuper)) as older
     from rowseal.audit_key k where (select rolsuper from pg_roles where rolname = current_user)`,
  );
  if (row === undefined) return undefined;
  if (row.others) return row.proof === 'Privilege' ? 'RelyOnHmac' : undefined;
  if (row.proof === 'Privilege' || row.noted === null) return undefined;
  if (!row.noted) return 'NoteRevocation';
  return row.older ? undefined : 'RelyOnPrivilege';
}

interface ProofChange {
  readonly step: Exclude<ProofStep, undefined>;
  readonly claims: ClaimsConfiguration;
  readonly eventObjectsOf: (functions: StatementFunctions) => readonly string[];
}

/** Functions, and the message that says from where on what counts, commit together: nobody writes as the new functions do before it. */
export async function takeProofStep(query: RunQuery, { step, claims, eventObjectsOf }: ProofChange): Promise<void> {
  if (step === 'NoteRevocation') {
    await query('update rowseal.audit_key set revoked_at = clock_timestamp()');
    return;
  }
  const proof = step === 'RelyOnPrivilege' ? 'Privilege' : 'Hmac';
  // What somebody replaced is first to be found, and sealed as such.
  if (proof === 'Privilege' && !(await standsAsInstalled(query, await installable(query, claims, eventObjectsOf)))) return;
  // A right that is taken back later is waited for like the first time.
  await query(`update rowseal.audit_key set proof = $1, revoked_at = case when $1 = 'Hmac' then 'infinity' else revoked_at end`, [proof]);
  const { functions, version } = await installable(query, claims, eventObjectsOf);
  for (const statement of statementObjects(functions)) await query(statement);
  await query(`comment on function rowseal.audit_open() is ${quoteLiteral(version)}`);
  await query('select rowseal.emit($1)', [JSON.stringify(['p', proof])]);
}

/** Whether everybody may call what statements on audited tables call. */
export const rightsStandSql = `coalesce(has_schema_privilege('public', to_regnamespace('rowseal')::oid, 'usage')
    and has_function_privilege('public', to_regprocedure('rowseal.open(oid, text, name)')::oid, 'execute'), false)`;

async function standsAsInstalled(query: RunQuery, { objects, version }: Installable): Promise<boolean> {
  const [row] = await query<{ stands: boolean }>(
    `select ${asCreatedSql(objects)} and ${rightsStandSql} and obj_description(to_regprocedure('rowseal.audit_open()'), 'pg_proc') is not distinct from $1 as stands`,
    [version],
  );
  return row?.stands === true;
}

/**
 * A GRANT that lets others write messages changes what counts in its own transaction, so that none of theirs is ever believed.
 * A failure must not break the GRANT: the next look finds it.
 */
export function grantObjects(functions: StatementFunctions): readonly string[] {
  const hmac = statementObjects({ ...functions, proof: 'Hmac' }).filter((statement) => statement.startsWith('create or replace function'));
  return [
    `create or replace function rowseal.audit_grant() returns event_trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $rowseal$
begin
  if exists (select from rowseal.audit_key k where k.proof = 'Privilege') and ${othersSql} then
    update rowseal.audit_key set proof = 'Hmac', revoked_at = 'infinity';
${hmac.map((statement) => `    execute ${quoteLiteral(statement.replaceAll('$rowseal$', '$statement$'))};`).join('\n')}
    perform rowseal.emit('["p","Hmac"]');
  end if;
exception when others then null;
end $rowseal$`,
    'revoke all on function rowseal.audit_grant() from public',
    'drop event trigger if exists rowseal_audit_grant',
    `create event trigger rowseal_audit_grant on ddl_command_end when tag in ('GRANT') execute function rowseal.audit_grant()`,
    'alter event trigger rowseal_audit_grant enable always',
  ];
}

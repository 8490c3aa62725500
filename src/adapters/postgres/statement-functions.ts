// SQL of what says, in the WAL, who runs a statement: a message when it opens, and one when a statement inside another has ended (DESIGN §5, Who; docs/actors.md).
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { quoteLiteral } from './quote.ts';

export interface StatementFunctions {
  /** `Privilege`: nobody but us may write messages, so that they need no proof of their own. */
  readonly proof: 'Privilege' | 'Hmac';
  readonly claims: ClaimsConfiguration;
  /** Whether what checks signed claims is installed. */
  readonly checksClaims: boolean;
  /** Where no event trigger tells that triggers were switched off, each statement has to say its end. */
  readonly closes: 'Nested' | 'Always';
  /** As `getdatabaseencoding()` names it. */
  readonly encoding: string;
}

/** Settings never hold it unless somebody puts it there; what then has too many parts is refused as a whole. */
const separator = `E'\\x1f'`;

/** The frames of a statement that nothing encloses, as PostgreSQL reports them in English. */
const topLevel = `'PL/pgSQL function rowseal.open(oid,text,name) line 6 at GET DIAGNOSTICS
PL/pgSQL function rowseal.audit_open() line 4 at assignment'`;

/**
 * The functions run in the user's statement, so nothing in them may fail. They run under the caller's search_path, so every name in
 * them is qualified and no operator is used. Each function call costs a microsecond in every transaction, so there are few.
 *
 * `audit_open` runs as the caller and hands over who that is; `open` may be called by anybody, so it believes this only where the
 * call stack, which nobody can forge, says that `audit_open` calls it: nobody else may make a trigger of that, or call it.
 */
export function statementObjects(options: StatementFunctions): readonly string[] {
  return [
    `create or replace function rowseal.open(relation pg_catalog.oid, operation pg_catalog.text, caller pg_catalog.name) returns pg_catalog.pg_lsn
language plpgsql security definer as $rowseal$
declare place pg_catalog.text; own pg_catalog.text; nested pg_catalog.text := '0';
  claims pg_catalog.text := ${claimsSql(options)};
  ${proofDeclarations(options)}
begin
  get diagnostics place = pg_context;
  if not pg_catalog.texteq(place, ${topLevel}) then
    own := pg_catalog.split_part(place, 'rowseal.open(', 1);
    place := pg_catalog.substr(place, pg_catalog.int4pl(pg_catalog.strpos(place, E'\\n'), 1));
    nested := case when not pg_catalog.starts_with(own, 'PL/pgSQL') or pg_catalog.int4gt(pg_catalog.strpos(own, E'\\n'), 0)
        or not pg_catalog.starts_with(place, pg_catalog.concat(own, 'rowseal.audit_open() ')) then '2'
      when pg_catalog.int4gt(pg_catalog.strpos(place, E'\\n'), 0) then '1' else '0' end;
  end if;
${emitSql(`${claimsMark(options)}${claimsLength(options)}, operation, pg_catalog.inet_client_addr(), nested, relation, pg_catalog.pg_backend_pid(),
    pg_catalog.current_setting('application_name'), session_user, pg_catalog.current_setting('role'), caller, claims`, options)}
end $rowseal$`,
    `create or replace function rowseal.audit_open() returns trigger language plpgsql as $rowseal$
declare position pg_catalog.pg_lsn;
begin
  position := rowseal.open(TG_RELID, TG_OP, current_user);
  return null;
end $rowseal$`,
    closeFunction('audit_close', options, options.closes === 'Nested'),
    closeFunction('audit_end', options, false),
    beginFunction(options),
    'revoke all on function rowseal.audit_open() from public',
    'revoke all on function rowseal.audit_close() from public',
    'revoke all on function rowseal.audit_end() from public',
    'grant usage on schema rowseal to public',
    'grant execute on function rowseal.open(oid, text, name), rowseal.begin(text) to public',
  ];
}

/** `nestedOnly`: at the top level nothing goes on that the end of this statement would matter to; the next one says so by opening. */
function closeFunction(name: string, options: StatementFunctions, nestedOnly: boolean): string {
  return `create or replace function rowseal.${name}() returns trigger language plpgsql security definer as $rowseal$
declare place pg_catalog.text; position pg_catalog.pg_lsn;
  ${proofDeclarations(options)}
begin${nestedOnly ? `
  get diagnostics place = pg_context;
  if pg_catalog.int4eq(pg_catalog.strpos(place, E'\\n'), 0) then return null; end if;` : ''}
${emitSql(`'c', TG_OP, TG_RELID`, options, 'position :=')}
  return null;
end $rowseal$`;
}

/** One context for a transaction. It also puts the claims where policies read them, so that both see the same. */
function beginFunction(options: StatementFunctions): string {
  const { claims } = options;
  const set =
    claims.type === 'Role'
      ? `if claims is not null then raise exception 'rowseal.begin takes no claims here: the role is the claim'; end if;`
      : `if claims is not null then claims := pg_catalog.set_config(${quoteLiteral(claims.setting)}, claims, true); end if;`;
  return `create or replace function rowseal.begin(claims pg_catalog.text default null) returns pg_catalog.void language plpgsql security definer as $rowseal$
declare position pg_catalog.pg_lsn;
  ${proofDeclarations(options)}
begin
  ${set}
  claims := ${claimsSql(options)};
${emitSql(`'b', ${claimsMark(options)}${claimsLength(options)}, pg_catalog.inet_client_addr(), pg_catalog.pg_backend_pid(),
    pg_catalog.current_setting('application_name'), session_user, pg_catalog.current_setting('role'), claims`, options, 'position :=')}
end $rowseal$`;
}

/** What the message carries as claims; a token is none and must not reach a log. */
function claimsSql({ claims, checksClaims }: StatementFunctions): string {
  if (claims.type === 'Setting') return `pg_catalog.current_setting(${quoteLiteral(claims.setting)}, true)`;
  if (claims.type === 'Signed' && checksClaims) return `rowseal.signed_claims(${quoteLiteral(claims.setting)}, ${quoteLiteral(claims.bind)})::pg_catalog.text`;
  return 'null';
}

/** `v`: checked; `r`: the role is the claim. */
function claimsMark({ claims }: StatementFunctions): string {
  return claims.type === 'Setting' ? '' : claims.type === 'Signed' ? `'v', ` : `'r', `;
}

/** Claims may hold the separator; their length says where they begin. Left out with them when there are none: concat_ws leaves NULL out. */
function claimsLength({ encoding }: StatementFunctions): string {
  return isVerbatim(encoding) ? 'pg_catalog.octet_length(claims)' : `pg_catalog.octet_length(pg_catalog.convert_to(claims, 'UTF8'))`;
}

/** Converting a text without an encoding could fail, and one in UTF-8 need not be. */
function isVerbatim(encoding: string): boolean {
  return encoding === 'UTF8' || encoding === 'SQL_ASCII';
}

function proofDeclarations({ proof }: StatementFunctions): string {
  return proof === 'Hmac' ? 'ipad pg_catalog.bytea; opad pg_catalog.bytea; message pg_catalog.bytea;' : '';
}

function emitSql(members: string, options: StatementFunctions, result = 'return'): string {
  const joined = `pg_catalog.concat_ws(${separator}, ${members})`;
  const { encoding } = options;
  if (options.proof === 'Hmac') return hmacMessageSql(joined, encoding, result);
  const content = isVerbatim(encoding) ? joined : `pg_catalog.convert_to(${joined}, 'UTF8')`;
  return `  ${result} pg_catalog.pg_logical_emit_message(true, 'rowseal.statement', ${content});`;
}

/** Bound to transaction, process and place: the WAL's insert position only grows, and nobody can set it. */
export function hmacMessageSql(body: string, encoding: string, result = 'position :='): string {
  return `  select k.inner_pad, k.outer_pad into ipad, opad from rowseal.audit_key k;
  message := pg_catalog.convert_to(pg_catalog.concat_ws(' ', pg_catalog.pg_current_xact_id(), pg_catalog.pg_backend_pid(),
    pg_catalog.pg_current_wal_insert_lsn(), ${body}), '${encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8'}');
  ${result} pg_catalog.pg_logical_emit_message(true, 'rowseal', pg_catalog.byteacat(
    pg_catalog.sha256(pg_catalog.byteacat(opad, pg_catalog.sha256(pg_catalog.byteacat(ipad, message)))), message));`;
}

/** No WHEN: it would be parsed and planned anew in every statement, which costs more than all the rest. */
export function statementTriggersSql(table: string, close: string): readonly string[] {
  const events = 'insert or update or delete or truncate';
  return [
    `create or replace trigger rowseal_open before ${events} on ${table} for each statement execute function rowseal.audit_open()`,
    `create or replace trigger rowseal_close after ${events} on ${table} for each statement execute function rowseal.${close}()`,
    `alter table ${table} enable always trigger rowseal_open, enable always trigger rowseal_close`,
  ];
}

// SQL of signed claims: the key table, the function that checks a token, the challenge to sign, the explanation of a refusal (DESIGN §5; docs/claims.md).
import type { ClaimsBinding } from '../../model/claims.ts';
import { quoteLiteral } from './quote.ts';

export interface ClaimsFunctions {
  /** server_version_num. */
  readonly versionNumber: number;
  /** Written into the functions: reading the control file would cost more than the whole check. */
  readonly systemIdentifier: string;
  /** The database's encoding, as `getdatabaseencoding()` names it. */
  readonly encoding: string;
  readonly setting: string;
  readonly bind: ClaimsBinding;
}

/** Tokens beyond this are refused unread, so that no caller can make the check expensive. */
const maxTokenBytes = 16_384;
/** A dot and the base64 of 32 bytes. */
const macTailBytes = 45;
/** By its number: what a literal with a backslash means is the caller's choice (standard_conforming_strings). */
const backslash = 92;

/**
 * Run by the role that owns the keys. The functions are called from policies, with the caller's search_path: every name in
 * them is qualified and no operator is used, since a schema before pg_catalog could redefine it; SET search_path would cost
 * more. Nor does anything depend on how the caller wants times, numbers or bytes written. Nothing in `signed_claims` may
 * fail: each step has excluded what the next one would raise. No block with EXCEPTION from 16 on, since its subtransaction
 * is an error inside a parallel plan.
 */
export function claimsObjects(options: ClaimsFunctions): readonly string[] {
  const bindParameter = `bind pg_catalog.text default ${quoteLiteral(options.bind)}`;
  return [
    `create table if not exists rowseal.claims_key (id text primary key, inner_pad bytea not null, outer_pad bytea not null)`,
    // No policy: only the owner, whom nobody can log in as, and who bypasses row security sees a row; pg_read_all_data does not.
    `alter table rowseal.claims_key enable row level security`,
    `revoke all on rowseal.claims_key from public`,
    `create or replace function rowseal.claims_pad(masked bytea, mask bytea, pad int) returns bytea language plpgsql immutable as $rowseal$
declare padded pg_catalog.bytea := masked;
begin
  for i in 0..pg_catalog.int4mi(pg_catalog.octet_length(masked), 1) loop
    padded := pg_catalog.set_byte(padded, i, pg_catalog.int4xor(pg_catalog.int4xor(pg_catalog.get_byte(masked, i), pg_catalog.get_byte(mask, i)), pad));
  end loop;
  return padded;
end $rowseal$`,
    `revoke all on function rowseal.claims_pad(bytea, bytea, int) from public`,
    checkFunction(options),
    `create or replace function rowseal.challenge(${bindParameter}) returns pg_catalog.text
language plpgsql stable security definer parallel restricted as $rowseal$
declare place pg_catalog.text;
begin
${placeSql(options)}
  return place;
end $rowseal$`,
    explainFunction(options, `setting pg_catalog.text default ${quoteLiteral(options.setting)}, ${bindParameter}`),
    `grant execute on function rowseal.signed_claims(text, text), rowseal.challenge(text), rowseal.explain_claims(text, text) to public`,
  ];
}

/**
 * Each function call here is looked up anew in every transaction (about a quarter of a microsecond), so there are as few as do.
 * Digests of the signatures are compared: how far an early end of the comparison reaches tells nothing about the signature itself.
 */
function checkFunction(options: ClaimsFunctions): string {
  const soft = options.versionNumber >= 160_000;
  return `create or replace function rowseal.signed_claims(setting pg_catalog.text, bind pg_catalog.text) returns pg_catalog.jsonb
language plpgsql stable security definer parallel ${soft ? 'restricted' : 'unsafe'} as $rowseal$
declare ${declarations}
begin
  if token is null or pg_catalog.int4gt(pg_catalog.octet_length(token), ${maxTokenBytes}) then return null; end if;
${keySql(options)}
  if ipad is null or not ${genuineSql(options)} or not pg_catalog.textlike(token, '${startLike}') or ${expiredSql} then return null; end if;
${placeSql(options)}
  claims := pg_catalog.split_part(token, '.', 5);
  if place is null or not pg_catalog.texteq(pg_catalog.split_part(token, '.', 4), place)
    or pg_catalog.int4ne(pg_catalog.int4mod(pg_catalog.octet_length(claims), 4), 0) or not pg_catalog.textregexeq(claims, '^${base64Pattern}$') then return null; end if;
  bytes := pg_catalog.decode(claims, 'base64');
  claims := pg_catalog.encode(bytes, 'escape');
  if pg_catalog.int4gt(pg_catalog.strpos(claims, pg_catalog.chr(${backslash})), 0) then
    if not pg_catalog.textregexeq(pg_catalog.encode(bytes, 'hex'), ${quoteLiteral(options.encoding === 'UTF8' ? utf8Pattern : asciiPattern)}) then return null; end if;
    claims := pg_catalog.convert_from(bytes, 'UTF8');
  end if;
${soft ? `  if not pg_catalog.pg_input_is_valid(claims, 'pg_catalog.jsonb') then return null; end if;\n` : ''}  return claims::pg_catalog.jsonb;
${soft ? '' : 'exception when others then return null;\n'}end $rowseal$`;
}

/** Says why, step by step as the check goes. What a token holds is only looked at once its signature is right. */
function explainFunction(options: ClaimsFunctions, parameters: string): string {
  const steps: readonly (readonly [condition: string, reason: string, explanation: string])[] = [
    [`token is null or pg_catalog.texteq(token, '')`, 'NoToken', `pg_catalog.concat('the setting ', setting, ' is not set in this transaction')`],
    [`pg_catalog.int4gt(pg_catalog.octet_length(token), ${maxTokenBytes})`, 'TooLong', `'a token has at most ${maxTokenBytes} bytes'`],
    [`not pg_catalog.textregexeq(token, ${quoteLiteral(tokenPattern)})`, 'Malformed', `'this is not rs1.<expiry>.<key id>.<challenge>.<claims>.<signature>'`],
    ['ipad is null', 'UnknownKey', `pg_catalog.concat('no key ', pg_catalog.split_part(token, '.', 3), ' is installed')`],
    [`not ${genuineSql(options)}`, 'WrongSignature', `'the token was altered, or signed with another key under this key id'`],
    [expiredSql, 'Expired', `pg_catalog.concat('the token expired at ', pg_catalog.to_timestamp(pg_catalog.split_part(token, '.', 2)::pg_catalog.float8))`],
    ['place is null', 'Unanswerable', `'this server does not tell when a session began: grant pg_read_all_stats to the owner of rowseal.signed_claims'`],
    ['signed is null', 'Malformed', `'the challenge in the token is none of ours'`],
    [placeDiffers(0), 'AnotherBinding', `pg_catalog.concat('the policies ask for a challenge of kind ', bind)`],
    [placeDiffers(1), 'AnotherSystem', `'the token was signed for another server'`],
    [placeDiffers(2), 'AnotherDatabase', `'the token was signed for another database'`],
    [`${placeDiffers(3)} or ${placeDiffers(4)}`, 'AnotherTime', `pg_catalog.concat('the token was signed for another ', pg_catalog.lower(bind))`],
    [placeDiffers(5), 'AnotherUser', `pg_catalog.concat('the token was not signed for the session user ', session_user)`],
    [placeDiffers(6), 'AnotherRole', `pg_catalog.concat('the token was not signed for the role setting ', pg_catalog.current_setting('role'))`],
    [`not pg_catalog.texteq(pg_catalog.split_part(token, '.', 4), place)`, 'Malformed', `'the challenge in the token is not as it was given'`],
  ];
  return `create or replace function rowseal.explain_claims(${parameters}, out accepted pg_catalog.bool, out reason pg_catalog.text, out explanation pg_catalog.text)
language plpgsql stable security definer as $rowseal$
declare ${declarations} signed pg_catalog.json; here pg_catalog.json;
begin
  accepted := rowseal.signed_claims(setting, bind) is not null;
  if accepted then reason := 'Accepted'; explanation := 'the claims are believed in this place'; return; end if;
${keySql(options)}
${placeSql(options)}
  begin
    here := pg_catalog.convert_from(pg_catalog.decode(place, 'hex'), 'UTF8')::pg_catalog.json;
    signed := pg_catalog.convert_from(pg_catalog.decode(pg_catalog.split_part(token, '.', 4), 'hex'), 'UTF8')::pg_catalog.json;
    if pg_catalog.json_array_length(signed) is null then signed := null; end if;
  exception when others then signed := null;
  end;
${steps.map(([condition, reason, explanation]) => `  if ${condition} then reason := '${reason}'; explanation := ${explanation}; return; end if;`).join('\n')}
  reason := 'NotJson'; explanation := 'the signed claims are not JSON that PostgreSQL can hold';
end $rowseal$`;
}

const declarations = `token pg_catalog.text := pg_catalog.current_setting(setting, true); ipad pg_catalog.bytea; opad pg_catalog.bytea;
  bytes pg_catalog.bytea; size pg_catalog.int4; place pg_catalog.text; claims pg_catalog.text;`;

/** `size` is how much of the token was signed: everything before the dot before the signature. */
function keySql({ encoding }: ClaimsFunctions): string {
  return `  select k.inner_pad, k.outer_pad into ipad, opad from rowseal.claims_key k where pg_catalog.texteq(k.id, pg_catalog.split_part(token, '.', 3));
  bytes := pg_catalog.convert_to(token, ${quoteLiteral(encoding)});
  size := pg_catalog.int4mi(pg_catalog.octet_length(bytes), ${macTailBytes});`;
}

/** Over bytes, so that nothing is read before it is known to be ours. That a dot stands before the signature follows: anything else there would make the claims too long by one. */
function genuineSql({ encoding }: ClaimsFunctions): string {
  return `(pg_catalog.int4gt(size, 0) and pg_catalog.byteaeq(
    pg_catalog.sha256(pg_catalog.substr(bytes, pg_catalog.int4pl(size, 2))),
    pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.encode(pg_catalog.sha256(pg_catalog.byteacat(opad,
      pg_catalog.sha256(pg_catalog.byteacat(ipad, pg_catalog.substr(bytes, 1, size))))), 'base64'), ${quoteLiteral(encoding)}))))`;
}

const startLike = `rs1.${'_'.repeat(10)}.%`;
/** Seconds since 1970 in ten digits, as they will have until 2286: compared byte by byte, since reading a number could fail. */
const expiredSql = `pg_catalog.text_pattern_le(token, pg_catalog.concat('rs1.', pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.int8))`;

/** Where the caller is, as a challenge says it; NULL where that can't be known. `current_user` would be the function's owner. */
function placeSql({ systemIdentifier }: ClaimsFunctions): string {
  const since = (pid: string, start: string | undefined) =>
    `pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '${systemIdentifier}', pg_catalog.current_database(), ${pid}, ${start === undefined ? 'null' : `pg_catalog.encode(pg_catalog.timestamptz_send(${start}), 'hex')`}, session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex')`;
  const pid = 'pg_catalog.pg_backend_pid()';
  return `  if pg_catalog.texteq(bind, 'Transaction') then place := ${since(pid, 'pg_catalog.now()')};
  elsif pg_catalog.texteq(bind, 'Expiry') then place := ${since('null', undefined)};
  elsif pg_catalog.texteq(bind, 'Session') then
    select ${since(pid, 'a.backend_start')} into place from pg_catalog.pg_stat_get_activity(${pid}) a where a.backend_start is not null;
  end if;`;
}

function placeDiffers(part: number): string {
  return `pg_catalog.concat(pg_catalog.json_array_element_text(signed, ${part})) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, ${part}))`;
}

const base64Pattern = '[A-Za-z0-9+/]+={0,2}';
const tokenPattern = `^rs1[.][0-9]{10}[.][A-Za-z0-9_-]+[.][0-9a-f]+[.]${base64Pattern}[.]${base64Pattern}$`;
/** Pairs of hexadecimal digits: UTF-8 without NUL, overlong forms and surrogates (RFC 3629 §4). */
const asciiPattern = '^(0[1-9a-f]|[1-7][0-9a-f])*$';
const utf8Pattern = `^(${[
  '0[1-9a-f]|[1-7][0-9a-f]',
  '(c[2-9a-f]|d[0-9a-f])[89ab][0-9a-f]',
  '(e0[ab][0-9a-f]|e[1-9a-cef][89ab][0-9a-f]|ed[89][0-9a-f])[89ab][0-9a-f]',
  '(f0[9ab][0-9a-f]|f[1-3][89ab][0-9a-f]|f48[0-9a-f])([89ab][0-9a-f]){2}',
].join('|')})*$`;

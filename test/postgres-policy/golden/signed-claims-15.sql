create table if not exists rowseal.claims_key (id text primary key, inner_pad bytea not null, outer_pad bytea not null);

alter table rowseal.claims_key enable row level security;

revoke all on rowseal.claims_key from public;

create or replace function rowseal.claims_pad(masked bytea, mask bytea, pad int) returns bytea language plpgsql immutable as $rowseal$
declare padded pg_catalog.bytea := masked;
begin
  for i in 0..pg_catalog.int4mi(pg_catalog.octet_length(masked), 1) loop
    padded := pg_catalog.set_byte(padded, i, pg_catalog.int4xor(pg_catalog.int4xor(pg_catalog.get_byte(masked, i), pg_catalog.get_byte(mask, i)), pad));
  end loop;
  return padded;
end $rowseal$;

revoke all on function rowseal.claims_pad(bytea, bytea, int) from public;

create or replace function rowseal.signed_claims(setting pg_catalog.text, bind pg_catalog.text) returns pg_catalog.jsonb
language plpgsql stable security definer parallel unsafe as $rowseal$
declare token pg_catalog.text := pg_catalog.current_setting(setting, true); ipad pg_catalog.bytea; opad pg_catalog.bytea;
  bytes pg_catalog.bytea; size pg_catalog.int4; place pg_catalog.text; claims pg_catalog.text;
begin
  if token is null or pg_catalog.int4gt(pg_catalog.octet_length(token), 16384) then return null; end if;
  select k.inner_pad, k.outer_pad into ipad, opad from rowseal.claims_key k where pg_catalog.texteq(k.id, pg_catalog.split_part(token, '.', 3));
  bytes := pg_catalog.convert_to(token, 'UTF8');
  size := pg_catalog.int4mi(pg_catalog.octet_length(bytes), 45);
  if ipad is null or not (pg_catalog.int4gt(size, 0) and pg_catalog.byteaeq(
    pg_catalog.sha256(pg_catalog.substr(bytes, pg_catalog.int4pl(size, 2))),
    pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.encode(pg_catalog.sha256(pg_catalog.byteacat(opad,
      pg_catalog.sha256(pg_catalog.byteacat(ipad, pg_catalog.substr(bytes, 1, size))))), 'base64'), 'UTF8')))) or not pg_catalog.textlike(token, 'rs1.__________.%') or pg_catalog.text_pattern_le(token, pg_catalog.concat('rs1.', pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.int8)) then return null; end if;
  if pg_catalog.texteq(bind, 'Transaction') then place := pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), pg_catalog.pg_backend_pid(), pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.now()), 'hex'), session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex');
  elsif pg_catalog.texteq(bind, 'Expiry') then place := pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), null, null, session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex');
  elsif pg_catalog.texteq(bind, 'Session') then
    select pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), pg_catalog.pg_backend_pid(), pg_catalog.encode(pg_catalog.timestamptz_send(a.backend_start), 'hex'), session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex') into place from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a where a.backend_start is not null;
  end if;
  claims := pg_catalog.split_part(token, '.', 5);
  if place is null or not pg_catalog.texteq(pg_catalog.split_part(token, '.', 4), place)
    or pg_catalog.int4ne(pg_catalog.int4mod(pg_catalog.octet_length(claims), 4), 0) or not pg_catalog.textregexeq(claims, '^[A-Za-z0-9+/]+={0,2}$') then return null; end if;
  bytes := pg_catalog.decode(claims, 'base64');
  claims := pg_catalog.encode(bytes, 'escape');
  if pg_catalog.int4gt(pg_catalog.strpos(claims, pg_catalog.chr(92)), 0) then
    if not pg_catalog.textregexeq(pg_catalog.encode(bytes, 'hex'), '^(0[1-9a-f]|[1-7][0-9a-f]|(c[2-9a-f]|d[0-9a-f])[89ab][0-9a-f]|(e0[ab][0-9a-f]|e[1-9a-cef][89ab][0-9a-f]|ed[89][0-9a-f])[89ab][0-9a-f]|(f0[9ab][0-9a-f]|f[1-3][89ab][0-9a-f]|f48[0-9a-f])([89ab][0-9a-f]){2})*$') then return null; end if;
    claims := pg_catalog.convert_from(bytes, 'UTF8');
  end if;
  return claims::pg_catalog.jsonb;
exception when others then return null;
end $rowseal$;

create or replace function rowseal.challenge(bind pg_catalog.text default 'Transaction') returns pg_catalog.text
language plpgsql stable security definer parallel restricted as $rowseal$
declare place pg_catalog.text;
begin
  if pg_catalog.texteq(bind, 'Transaction') then place := pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), pg_catalog.pg_backend_pid(), pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.now()), 'hex'), session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex');
  elsif pg_catalog.texteq(bind, 'Expiry') then place := pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), null, null, session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex');
  elsif pg_catalog.texteq(bind, 'Session') then
    select pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), pg_catalog.pg_backend_pid(), pg_catalog.encode(pg_catalog.timestamptz_send(a.backend_start), 'hex'), session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex') into place from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a where a.backend_start is not null;
  end if;
  return place;
end $rowseal$;

create or replace function rowseal.explain_claims(setting pg_catalog.text default 'rowseal.token', bind pg_catalog.text default 'Transaction', out accepted pg_catalog.bool, out reason pg_catalog.text, out explanation pg_catalog.text)
language plpgsql stable security definer as $rowseal$
declare token pg_catalog.text := pg_catalog.current_setting(setting, true); ipad pg_catalog.bytea; opad pg_catalog.bytea;
  bytes pg_catalog.bytea; size pg_catalog.int4; place pg_catalog.text; claims pg_catalog.text; signed pg_catalog.json; here pg_catalog.json;
begin
  accepted := rowseal.signed_claims(setting, bind) is not null;
  if accepted then reason := 'Accepted'; explanation := 'the claims are believed in this place'; return; end if;
  select k.inner_pad, k.outer_pad into ipad, opad from rowseal.claims_key k where pg_catalog.texteq(k.id, pg_catalog.split_part(token, '.', 3));
  bytes := pg_catalog.convert_to(token, 'UTF8');
  size := pg_catalog.int4mi(pg_catalog.octet_length(bytes), 45);
  if pg_catalog.texteq(bind, 'Transaction') then place := pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), pg_catalog.pg_backend_pid(), pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.now()), 'hex'), session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex');
  elsif pg_catalog.texteq(bind, 'Expiry') then place := pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), null, null, session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex');
  elsif pg_catalog.texteq(bind, 'Session') then
    select pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array(bind, '7312345678901234567', pg_catalog.current_database(), pg_catalog.pg_backend_pid(), pg_catalog.encode(pg_catalog.timestamptz_send(a.backend_start), 'hex'), session_user, pg_catalog.current_setting('role'))::pg_catalog.text, 'UTF8'), 'hex') into place from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a where a.backend_start is not null;
  end if;
  begin
    here := pg_catalog.convert_from(pg_catalog.decode(place, 'hex'), 'UTF8')::pg_catalog.json;
    signed := pg_catalog.convert_from(pg_catalog.decode(pg_catalog.split_part(token, '.', 4), 'hex'), 'UTF8')::pg_catalog.json;
    if pg_catalog.json_array_length(signed) is null then signed := null; end if;
  exception when others then signed := null;
  end;
  if token is null or pg_catalog.texteq(token, '') then reason := 'NoToken'; explanation := pg_catalog.concat('the setting ', setting, ' is not set in this transaction'); return; end if;
  if pg_catalog.int4gt(pg_catalog.octet_length(token), 16384) then reason := 'TooLong'; explanation := 'a token has at most 16384 bytes'; return; end if;
  if not pg_catalog.textregexeq(token, '^rs1[.][0-9]{10}[.][A-Za-z0-9_-]+[.][0-9a-f]+[.][A-Za-z0-9+/]+={0,2}[.][A-Za-z0-9+/]+={0,2}$') then reason := 'Malformed'; explanation := 'this is not rs1.<expiry>.<key id>.<challenge>.<claims>.<signature>'; return; end if;
  if ipad is null then reason := 'UnknownKey'; explanation := pg_catalog.concat('no key ', pg_catalog.split_part(token, '.', 3), ' is installed'); return; end if;
  if not (pg_catalog.int4gt(size, 0) and pg_catalog.byteaeq(
    pg_catalog.sha256(pg_catalog.substr(bytes, pg_catalog.int4pl(size, 2))),
    pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.encode(pg_catalog.sha256(pg_catalog.byteacat(opad,
      pg_catalog.sha256(pg_catalog.byteacat(ipad, pg_catalog.substr(bytes, 1, size))))), 'base64'), 'UTF8')))) then reason := 'WrongSignature'; explanation := 'the token was altered, or signed with another key under this key id'; return; end if;
  if pg_catalog.text_pattern_le(token, pg_catalog.concat('rs1.', pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.int8)) then reason := 'Expired'; explanation := pg_catalog.concat('the token expired at ', pg_catalog.to_timestamp(pg_catalog.split_part(token, '.', 2)::pg_catalog.float8)); return; end if;
  if place is null then reason := 'Unanswerable'; explanation := 'this server does not tell when a session began: grant pg_read_all_stats to the owner of rowseal.signed_claims'; return; end if;
  if signed is null then reason := 'Malformed'; explanation := 'the challenge in the token is none of ours'; return; end if;
  if pg_catalog.concat(pg_catalog.json_array_element_text(signed, 0)) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, 0)) then reason := 'AnotherBinding'; explanation := pg_catalog.concat('the policies ask for a challenge of kind ', bind); return; end if;
  if pg_catalog.concat(pg_catalog.json_array_element_text(signed, 1)) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, 1)) then reason := 'AnotherSystem'; explanation := 'the token was signed for another server'; return; end if;
  if pg_catalog.concat(pg_catalog.json_array_element_text(signed, 2)) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, 2)) then reason := 'AnotherDatabase'; explanation := 'the token was signed for another database'; return; end if;
  if pg_catalog.concat(pg_catalog.json_array_element_text(signed, 3)) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, 3)) or pg_catalog.concat(pg_catalog.json_array_element_text(signed, 4)) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, 4)) then reason := 'AnotherTime'; explanation := pg_catalog.concat('the token was signed for another ', pg_catalog.lower(bind)); return; end if;
  if pg_catalog.concat(pg_catalog.json_array_element_text(signed, 5)) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, 5)) then reason := 'AnotherUser'; explanation := pg_catalog.concat('the token was not signed for the session user ', session_user); return; end if;
  if pg_catalog.concat(pg_catalog.json_array_element_text(signed, 6)) is distinct from pg_catalog.concat(pg_catalog.json_array_element_text(here, 6)) then reason := 'AnotherRole'; explanation := pg_catalog.concat('the token was not signed for the role setting ', pg_catalog.current_setting('role')); return; end if;
  if not pg_catalog.texteq(pg_catalog.split_part(token, '.', 4), place) then reason := 'Malformed'; explanation := 'the challenge in the token is not as it was given'; return; end if;
  reason := 'NotJson'; explanation := 'the signed claims are not JSON that PostgreSQL can hold';
end $rowseal$;

grant execute on function rowseal.signed_claims(text, text), rowseal.challenge(text), rowseal.explain_claims(text, text) to public;

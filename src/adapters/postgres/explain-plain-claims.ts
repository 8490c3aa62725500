// SQL of `rowseal.explain_claims()` where claims are not signed: the same question, with what there is to answer.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import { guardedCast } from './guarded-cast.ts';
import { quoteLiteral } from './quote.ts';
import { jsonbType } from './sql-type.ts';

const answers = 'out accepted pg_catalog.bool, out reason pg_catalog.text, out explanation pg_catalog.text';

export function explainPlainClaims(claims: Exclude<ClaimsConfiguration, { readonly type: 'Signed' }>, versionNumber: number): readonly string[] {
  const body = claims.type === 'Role' ? roleBody : settingBody(versionNumber);
  const setting = claims.type === 'Role' ? '' : claims.setting;
  return [
    `create or replace function rowseal.explain_claims(setting pg_catalog.text default ${quoteLiteral(setting)}, bind pg_catalog.text default '', ${answers})
language plpgsql stable set search_path = pg_catalog, pg_temp as $rowseal$
${body}
end $rowseal$`,
    `grant execute on function rowseal.explain_claims(text, text) to public`,
  ];
}

const roleBody = `begin
  accepted := true;
  reason := 'Accepted';
  explanation := format('claims are what PostgreSQL proves: role %s, session_user %s', current_user, session_user);`;

function settingBody(versionNumber: number): string {
  return `declare
  said text := nullif(current_setting(setting, true), '');
  claims jsonb := ${guardedCast('said', jsonbType, { versionNumber })};
begin
  accepted := coalesce(jsonb_typeof(claims) = 'object', false);
  reason := case when said is null then 'NoClaims' when claims is null then 'NotJson' when not accepted then 'NotAnObject' else 'Accepted' end;
  explanation := case reason
    when 'NoClaims' then format('the setting %s is not set in this transaction', setting)
    when 'NotJson' then format('the setting %s does not hold JSON', setting)
    when 'NotAnObject' then format('the setting %s holds JSON, but no object', setting)
    else format('claims are read from the setting %s, which any role can set', setting) end;`;
}

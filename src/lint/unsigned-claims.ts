// Policies that believe a setting: whoever can run SQL can set it to anything.
import type { CatalogFunction } from '../policy/catalog.ts';
import type { Expression } from '../policy/expression.ts';
import { calledFunctions, type CalledFunctions, codeOf } from './called-functions.ts';
import { type Claims, claimsOf } from './claims.ts';
import type { Landscape } from './landscape.ts';
import type { Lint, LintFinding } from './lint.ts';
import { type AskedPolicy, askedPolicies } from './policy-parts.ts';
import { remembered } from './remembered.ts';
import { listed, titled } from './words.ts';

export const unsignedClaims: Lint = {
  id: 'unsigned-claims',
  severity: 'info',
  title: 'policies believe a setting that any role can set',
  reason: 'A setting with a dot in its name belongs to nobody: SET app.tenant_id = … needs no right. One SQL injection is enough to act for another tenant.',
  fix: 'sign the claims (DatabaseConnection spec.claims.type: Signed), or give each tenant a role',
  find: (landscape) => {
    const claims = claimsOf(landscape);
    const verifies = verifying(calledFunctions(landscape));
    const believed = askedPolicies(landscape).flatMap((asked) => believedBy(asked, claims, verifies).map((setting) => ({ setting, asked })));
    return [...Map.groupBy(believed, ({ setting }) => setting)].map(([setting, uses]) => finding(setting, uses.map(({ asked }) => asked), landscape));
  },
};

function finding(setting: string, uses: readonly AskedPolicy[], landscape: Landscape): LintFinding {
  const tables = [...new Set(uses.map(({ table }) => titled(table)))];
  return {
    object: `setting ${setting}`,
    tables,
    why: `${uses.length === 1 ? 'A policy' : `${uses.length} policies`} on ${listed(tables)} in ${landscape.catalog.server.database} ${uses.length === 1 ? 'believes' : 'believe'} what it says, and every session can set it.`,
    fix: 'Sign the claims (DatabaseConnection spec.claims.type: Signed); until then let no tenant run SQL of its own',
  };
}

/** The server's own settings have no dot, and whoever sets them needs the right to. */
function believedBy({ expressions }: AskedPolicy, claims: Claims, verifies: (expression: Expression) => boolean): readonly string[] {
  if (expressions.some(({ tree }) => verifies(tree))) return [];
  return [...new Set(expressions.flatMap(({ tree }) => claims.settingsIn(tree)).filter((setting) => setting.includes('.')))];
}

/** Whether a function that the expression calls checks a signature, by what it is called. */
function verifying(functions: CalledFunctions): (expression: Expression) => boolean {
  const checks = remembered((called: CatalogFunction) => [called, ...functions.calledBy(called)].some((each) => /\b(?:hmac|sha256|sha512|verify)\s*\(/i.test(codeOf(each))));
  return (expression) => functions.calledIn(expression).some(checks);
}

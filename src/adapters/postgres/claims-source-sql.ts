// Where a session's claims come from, as one jsonb expression by claims type (DESIGN §5, Claims and Signed claims).
import { type ClaimsConfiguration, provenClaims } from '../../model/claims.ts';
import { RowsealError } from '../../model/errors.ts';
import { guardedCast } from './guarded-cast.ts';
import { quoteLiteral } from './quote.ts';
import { jsonbType } from './sql-type.ts';

export interface ClaimSource {
  readonly claims: ClaimsConfiguration;
  /** server_version_num. */
  readonly versionNumber: number;
}

/** The claims as jsonb, NULL where there are none or none can be believed; never an error. STABLE, so that `(select …)` around it is an initplan. */
export function claimsSql({ claims, versionNumber }: ClaimSource): string {
  switch (claims.type) {
    case 'Setting':
      // After SET LOCAL ends the setting is '' and not NULL.
      return `(${guardedCast(`nullif(current_setting(${quoteLiteral(claims.setting)}, true), '')`, jsonbType, { versionNumber })})`;
    case 'Signed':
      // The binding stands in the policy itself: weakening it changes the policies, and that is planned, approved and sealed as such.
      return `rowseal.signed_claims(${quoteLiteral(claims.setting)}, ${quoteLiteral(claims.bind)})`;
    case 'Role':
      return `jsonb_build_object('role', cast(current_user as text), 'session_user', cast(session_user as text))`;
  }
}

/** Throws BadPredicate for a claim that this source never has: a policy that can't admit anybody is a mistake, not a rule. */
export function requireClaim(path: readonly string[], claims: ClaimsConfiguration): void {
  if (claims.type !== 'Role' || (path.length === 1 && provenClaims.some((name) => name === path[0]))) return;
  throw new RowsealError('BadPredicate', `the claim ${JSON.stringify(path.join('.'))} does not exist where spec.claims.type of the DatabaseConnection is Role`, {
    next: `compare with the claim ${provenClaims.join(' or ')}, or set claims.type to Signed or Setting`,
  });
}

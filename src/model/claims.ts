// How a session says who it acts for, as a value with its defaults applied (DESIGN §3, DatabaseConnection; docs/claims.md).

/** What a signed token is good for: one transaction, one session, or any session until it expires. */
export type ClaimsBinding = 'Transaction' | 'Session' | 'Expiry';

export type ClaimsConfiguration =
  /** A session setting holds the claims as JSON. */
  | { readonly type: 'Setting'; readonly setting: string }
  /** A session setting holds a token that vouches for the claims. */
  | { readonly type: 'Signed'; readonly setting: string; readonly bind: ClaimsBinding }
  /** The session acts as a database role of its own; the claims are what PostgreSQL itself proves. */
  | { readonly type: 'Role' };

interface DeclaredClaims {
  readonly type: 'Setting' | 'Signed' | 'Role';
  readonly setting?: string;
  readonly signed?: { readonly bind?: ClaimsBinding };
}

const defaultClaimsSetting = 'request.jwt.claims';
const defaultTokenSetting = 'rowseal.token';

/** The claims there are under `type: Role`, each a path of its own. */
export const provenClaims = ['role', 'session_user'] as const;

export function claimsConfiguration(declared: DeclaredClaims | undefined): ClaimsConfiguration {
  switch (declared?.type ?? 'Setting') {
    case 'Setting':
      return { type: 'Setting', setting: declared?.setting ?? defaultClaimsSetting };
    case 'Signed':
      return { type: 'Signed', setting: declared?.setting ?? defaultTokenSetting, bind: declared?.signed?.bind ?? 'Transaction' };
    case 'Role':
      return { type: 'Role' };
  }
}

/** The setting that a statement's context carries as its claims: a token is no claims and must not reach a log, so '' says none. */
export function auditedClaimsSetting(claims: ClaimsConfiguration): string {
  return claims.type === 'Setting' ? claims.setting : '';
}

// How tests say claims on copies: in a plain setting of our own, whatever the database's way is, since a test has no key to sign with.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import type { Actor } from './evaluate.ts';

export const testedClaims = { type: 'Setting', setting: 'rowseal.tested_claims' } as const satisfies ClaimsConfiguration;

/** Claims of nobody when left out. Where PostgreSQL itself proves them, they are those of a session of the role. */
export function onCopiesAs(role: string, claims: object | undefined, way: ClaimsConfiguration): Actor {
  const all = way.type === 'Role' ? { ...claims, role, session_user: role } : claims;
  return { role, claims: { setting: testedClaims.setting, text: all === undefined ? '' : JSON.stringify(all) } };
}

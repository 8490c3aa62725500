// How claims are said on copies: as the database does it where it is a plain setting, else in a setting of our own, since a test has no key to sign with.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import type { Actor } from './evaluate.ts';

export const testedSetting = 'rowseal.tested_claims';

type Plain = Extract<ClaimsConfiguration, { type: 'Setting' }>;

export function claimsOnCopies(way: ClaimsConfiguration): Plain {
  return way.type === 'Setting' ? way : { type: 'Setting', setting: testedSetting };
}

/** Claims of nobody when left out. Where PostgreSQL itself proves them, they are those of a session of the role. */
export function onCopiesAs(role: string, claims: object | undefined, way: ClaimsConfiguration): Actor {
  const all = way.type === 'Role' ? { ...claims, role, session_user: role } : claims;
  const text = all === undefined ? '' : JSON.stringify(all);
  // Policies of before may ask for signed claims where those to come don't.
  return { role, claims: { setting: claimsOnCopies(way).setting, text }, settings: { [testedSetting]: text } };
}

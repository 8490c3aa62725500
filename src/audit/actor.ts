// Who did it, as the canonical JSON that an entry carries (DESIGN §7).
import canonicalize from 'canonicalize';
import type { StatementContext } from './statement-context.ts';

export const unattributed = '{"unattributed":true}';

/** Larger claims would crowd the row out of its entry; they are named by their length instead. */
const maxClaimsBytes = 16_384;

/** Claims come from a setting that any role may write, so they are never said to be verified. */
export function actorJson(statement: StatementContext, pid: number): string {
  return canonical({
    application: statement.application ?? undefined,
    claims: claimsValue(statement.claims),
    claimsVerified: false,
    client: statement.client ?? undefined,
    effective: statement.effective,
    pid,
    role: statement.role,
    user: statement.user,
  });
}

/** What a statement, or a transaction at its begin, says of itself. */
export interface ActorFacts {
  readonly user: string;
  /** The role that was set; `none` without one. */
  readonly role: string;
  /** Whose rights counted; undefined where that could not be proven, and for a transaction, which may have many. */
  readonly caller: string | undefined;
  readonly claims: string | undefined;
  /** `v`: the claims were checked; `r`: the role is the claim. */
  readonly mark: string | undefined;
  readonly application: string;
  readonly client: string | undefined;
  readonly pid: number;
  readonly ofTransaction: boolean;
}

export function statementActor({ user, role, caller, claims, mark, application, client, pid, ofTransaction }: ActorFacts): string {
  const proven = mark === 'r' && caller !== undefined ? { role: caller, session_user: user } : undefined;
  const value = proven ?? claimsValue(claims === '' || claims === undefined ? null : claims);
  return canonical({
    application: application === '' ? undefined : application,
    claims: value,
    claimsVerified: mark !== undefined && value !== undefined,
    client,
    effective: caller,
    evidence: ofTransaction ? 'transaction' : undefined,
    pid,
    role: role === 'none' ? user : role,
    user,
  });
}

/** RFC 8785; undefined members are left out. */
export function canonical(value: object): string {
  return canonicalize(value) ?? 'null';
}

/** JSON where that keeps every digit, else the text itself: canonical numbers are doubles (RFC 8785 §3.2.2.3). */
function claimsValue(text: string | null): unknown {
  if (text === null) return undefined;
  if (Buffer.byteLength(text) > maxClaimsBytes) return { omittedBytes: Buffer.byteLength(text) };
  if (/\d{16}/.test(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    // Lone surrogates and depths that no canonical form has are found here, not when the row is written.
    return canonicalize(value) === undefined ? text : value;
  } catch {
    return text;
  }
}

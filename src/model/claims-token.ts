// Tokens that vouch for claims, and the keys they are signed with: the format of docs/claims.md, checked in the database.
import { createHmac } from 'node:crypto';
import { RowsealError } from './errors.ts';

export interface ClaimsKey {
  readonly id: string;
  /** 32 to 64 bytes. Never logged, never in a message. */
  readonly secret: Uint8Array;
}

export interface TokenContents {
  /** What `rowseal.challenge()` returned where the token is going to be used. */
  readonly challenge: string;
  /** JSON text, signed as it is: parsing it here could round a number. */
  readonly claims: string;
  readonly expiresAt: Date;
}

const keyIdPattern = /^[A-Za-z0-9_-]{1,32}$/;
const challengePattern = /^([0-9a-f]{2}){1,1000}$/;
/** The database compares expiries digit by digit. */
const expiryDigits = 10;
const maxKeys = 8;
const minSecretBytes = 32;
const maxSecretBytes = 64;

/** `rs1.<expiry>.<key id>.<challenge>.<claims>.<signature>`. Throws BadUsage for a challenge that is none, or a time beyond 2286. */
export function signClaims({ challenge, claims, expiresAt }: TokenContents, key: ClaimsKey): string {
  if (!challengePattern.test(challenge)) {
    throw new RowsealError('BadUsage', 'this is no challenge', { next: 'give what select rowseal.challenge() returned in the transaction that will use the token' });
  }
  const expiry = String(Math.max(0, Math.floor(expiresAt.getTime() / 1000))).padStart(expiryDigits, '0');
  if (expiry.length !== expiryDigits) throw new RowsealError('BadUsage', 'the expiry is too far away', { next: 'choose a time before the year 2286' });
  const head = ['rs1', expiry, key.id, challenge, Buffer.from(claims).toString('base64')].join('.');
  return `${head}.${createHmac('sha256', key.secret).update(head).digest('base64')}`;
}

/** The keys in a Secret: entry name → key id, value → base64 of the key. Throws BadSecret naming the entry, never its value. */
export function claimsKeys(data: Readonly<Record<string, string>>, secretName: string): readonly ClaimsKey[] {
  const entries = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0 || entries.length > maxKeys) {
    throw badKey(secretName, `the Secret holds ${entries.length} keys`, `put one to ${maxKeys} keys into it, each under its key id`);
  }
  return entries.map(([id, value]) => claimsKey(id, value, secretName));
}

/** One key. Throws BadSecret as claimsKeys does. */
export function claimsKey(id: string, value: string, source: string): ClaimsKey {
  if (!keyIdPattern.test(id)) throw badKey(source, `${JSON.stringify(id)} can't be a key id`, 'name the key by 1 to 32 letters, digits, _ and -');
  const text = value.trim();
  const secret = Buffer.from(text, 'base64');
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text) || secret.length < minSecretBytes || secret.length > maxSecretBytes) {
    throw badKey(source, `the key ${id} is not the base64 of ${minSecretBytes} to ${maxSecretBytes} bytes`, 'make one with: openssl rand -base64 32');
  }
  return { id, secret };
}

function badKey(object: string, message: string, next: string): RowsealError {
  return new RowsealError('BadSecret', message, { object, next });
}

// Signs claims for one transaction: the whole format of docs/claims.md in six lines. Copy it.
import { createHmac } from 'node:crypto';

export interface SigningKey {
  readonly id: string;
  /** Base64, as in the Secret. */
  readonly secret: string;
}

export function signClaims(challenge: string, claims: object, key: SigningKey): string {
  const expiry = Math.floor(Date.now() / 1000) + 60;
  const body = Buffer.from(JSON.stringify(claims)).toString('base64');
  const head = `rs1.${expiry}.${key.id}.${challenge}.${body}`;
  return `${head}.${createHmac('sha256', Buffer.from(key.secret, 'base64')).update(head).digest('base64')}`;
}

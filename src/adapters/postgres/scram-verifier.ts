// A SCRAM-SHA-256 verifier made by us, so that the probe's password itself never reaches a statement, a log or a view.
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

const iterations = 4096;

/** What PostgreSQL keeps in pg_authid and takes after PASSWORD (RFC 5802, RFC 7677); `salt` is 16 random bytes. */
export function scramVerifier(password: string, salt: Uint8Array): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`;
}

// Ed25519 keys in the text forms of Go's sumdb/note: `name+hash+base64`, and `PRIVATE+KEY+name+hash+base64`.
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { RowsealError } from '../model/errors.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { sha256 } from './merkle.ts';

const ed25519Type = 0x01;
const keyBytes = 32;
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** Checks signatures of one known key. */
export interface VerifierKey {
  readonly name: string;
  /** Four bytes, read as big-endian. */
  readonly id: number;
  /** `name+hash+base64`. */
  readonly text: string;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

/** Signs notes; asynchronous, since a key may live in a service. */
export interface SigningKey {
  readonly name: string;
  readonly verifier: VerifierKey;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** A key pair from a 32-byte random seed; `text` is secret. Throws BadKey for a bad name or seed. */
export function generateSigningKey(name: string, seed: Uint8Array): { readonly text: string; readonly key: SigningKey } {
  if (seed.length !== keyBytes) throw badKey(`a seed of ${seed.length} bytes instead of ${keyBytes}`);
  const key = signingKey(name, seed);
  return { text: `PRIVATE+KEY+${name}+${idText(key.verifier.id)}+${encodeBase64(Buffer.concat([Buffer.of(ed25519Type), seed]))}`, key };
}

/** Parses `PRIVATE+KEY+name+hash+base64`; white space around it is ignored. Throws BadKey, which never shows the key. */
export function parseSigningKey(text: string): SigningKey {
  const match = /^PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(text.trim());
  if (!match) throw badKey('not a signing key of the form PRIVATE+KEY+name+hash+base64');
  const [, name = '', id = '', encoded = ''] = match;
  const key = signingKey(name, keyMaterial(encoded));
  if (idText(key.verifier.id) !== id) throw badKey('the signing key does not fit its own key hash');
  return key;
}

/** Parses `name+hash+base64`; white space around it is ignored. Throws BadKey. */
export function parseVerifierKey(text: string): VerifierKey {
  if (text.trim().startsWith('PRIVATE+KEY+')) throw badKey('this is a secret signing key; a verifier key is needed');
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(text.trim());
  if (!match) throw badKey('not a verifier key of the form name+hash+base64');
  const [, name = '', id = '', encoded = ''] = match;
  const key = verifierKey(name, keyMaterial(encoded));
  if (idText(key.id) !== id) throw badKey('the verifier key does not fit its own key hash');
  return key;
}

/** C2SP signed-note: not empty, no plus, no Unicode space; nor control characters, which a note cannot hold. */
export function isKeyName(name: string): boolean {
  return /^[^\s+\p{Cc}\p{Z}]+$/u.test(name) && name.isWellFormed();
}

function signingKey(name: string, seed: Uint8Array): SigningKey {
  const secret = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  const verifier = verifierKey(name, spki.subarray(spkiPrefix.length));
  return { name, verifier, sign: async (message) => sign(null, message, secret) };
}

function verifierKey(name: string, raw: Uint8Array): VerifierKey {
  if (!isKeyName(name)) throw badKey(`not a key name: ${JSON.stringify(name)}`);
  const typed = Buffer.concat([Buffer.of(ed25519Type), raw]);
  const id = sha256(Buffer.concat([Buffer.from(`${name}\n`), typed])).readUInt32BE(0);
  const key: KeyObject = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
  return {
    name,
    id,
    text: `${name}+${idText(id)}+${encodeBase64(typed)}`,
    verify: (message, signature) => signature.length === 64 && verify(null, message, key, signature),
  };
}

function keyMaterial(encoded: string): Buffer {
  const bytes = decodeBase64(encoded);
  if (bytes === undefined || bytes.length !== 1 + keyBytes || bytes[0] !== ed25519Type) throw badKey('not an Ed25519 key in canonical base64');
  return bytes.subarray(1);
}

function idText(id: number): string {
  return id.toString(16).padStart(8, '0');
}

function badKey(message: string): RowsealError {
  return new RowsealError('BadKey', message, { next: 'use the text that Rowseal or a note tool printed, in one line' });
}

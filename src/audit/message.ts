// Our own messages in the WAL: proven by HMAC, bound to their transaction and place, or refused as forged (DESIGN §5, Who).
import { hash, timingSafeEqual } from 'node:crypto';
import { type Lsn, parseLsn } from '../model/branded.ts';
import type { EnvironmentReport, MendedCoverage } from '../ports/audit-coverage.ts';
import type { CaptureConfiguration, MessageKey } from '../ports/audit-database.ts';
import { type DdlMessage, ddlMessage } from './ddl-message.ts';
import type { StatementMessage, StatementReader } from './statement-message.ts';

export const messagePrefix = 'rowseal';
/** What statements say of themselves where only we may write messages, without an HMAC. */
export const statementPrefix = 'rowseal.statement';

export type ForgeryReason = 'BadMac' | 'Malformed' | 'WrongTransaction' | 'Replayed' | 'NotTransactional' | 'Unproven';

export type Message =
  | StatementMessage
  | { readonly kind: 'proof'; readonly proof: 'Privilege' | 'Hmac' }
  | { readonly kind: 'digest'; readonly pid: number; readonly entry: 'policy.apply' | 'policy.drift'; readonly relation: number; readonly digest: string | null; readonly user: string }
  | DdlMessage
  | { readonly kind: 'environment'; readonly capture: string; readonly report: EnvironmentReport }
  | { readonly kind: 'marker'; readonly capture: string; readonly nonce: string; readonly proven: string | undefined }
  | { readonly kind: 'configuration'; readonly capture: string; readonly configuration: CaptureConfiguration; readonly mended: readonly MendedCoverage[]; readonly since: string | undefined };

/** Where the message stands in the stream, and what reads it if a statement wrote it. */
export interface MessagePlace {
  readonly xid: number;
  /** End of the message's record, as pgoutput gives it. */
  readonly lsn: Lsn;
  /** That of the last proven message of the same transaction: a copy of it or of an earlier one was written before. */
  readonly after: Lsn;
  /** Left out by who looks for something else. */
  readonly readStatement?: StatementReader;
}

const macBytes = 32;
const arrayStart = '['.charCodeAt(0);

/** Attacker-controlled until its HMAC holds: any role may write a message with our prefix. */
export function readMessage(content: Uint8Array, key: MessageKey, place: MessagePlace): Message | ForgeryReason {
  if (content.length <= macBytes) return 'Malformed';
  const signed = content.subarray(macBytes);
  if (!timingSafeEqual(macOf(signed, key), content.subarray(0, macBytes))) return 'BadMac';
  const header = /^(\d{1,20}) (\d{1,10}) ([0-9A-F]{1,8}\/[0-9A-F]{1,8}) /.exec(Buffer.from(signed.buffer, signed.byteOffset, Math.min(signed.length, 64)).toString('latin1'));
  if (header === null) return 'Malformed';
  if (Number(BigInt(header[1] ?? '0') & 0xffff_ffffn) !== place.xid) return 'WrongTransaction';
  const written = parseLsn(header[3] ?? '');
  if (written < place.after || written > place.lsn) return 'Replayed';
  const body = signed.subarray(header[0].length);
  return (body[0] === arrayStart ? parseBody(Buffer.from(body).toString('utf8'), Number(header[2])) : place.readStatement?.(body)) ?? 'Malformed';
}

/** HMAC-SHA256 from the padded key, hashed in one call each: a Hash object costs several times the hash of so few bytes. */
function macOf(signed: Uint8Array, key: MessageKey): Buffer {
  const inner = hash('sha256', Buffer.concat([key.inner, signed]), 'hex');
  return Buffer.from(hash('sha256', Buffer.concat([key.outer, Buffer.from(inner, 'hex')]), 'hex'), 'hex');
}

/** Our own functions wrote this; what does not fit is another version's. */
function parseBody(text: string, pid: number): Message | undefined {
  const body = JSON.parse(text) as readonly unknown[];
  switch (body[0]) {
    case 'p':
      return { kind: 'proof', proof: body[1] === 'Privilege' ? 'Privilege' : 'Hmac' };
    case 'd':
      return {
        kind: 'digest',
        pid,
        entry: body[1] === 'policy.apply' ? 'policy.apply' : 'policy.drift',
        relation: Number(body[2]),
        digest: textOrNull(body[3]),
        user: String(body[4]),
      };
    case 'm':
      return { kind: 'marker', capture: String(body[1]), nonce: String(body[2]), proven: textOrNull(body[3]) ?? undefined };
    case 'e':
      return ddlMessage(body, pid);
    case 'n':
      return { kind: 'environment', capture: String(body[1]), report: body[2] as EnvironmentReport };
    case 'g':
      return {
        kind: 'configuration',
        capture: String(body[1]),
        configuration: body[2] as CaptureConfiguration,
        mended: body[3] as readonly MendedCoverage[],
        since: textOrNull(body[4]) ?? undefined,
      };
    default:
      return undefined;
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

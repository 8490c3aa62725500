// Our own messages in the WAL: proven by HMAC, bound to their transaction and place, or refused as forged (DESIGN §5, Who).
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Lsn, parseLsn } from '../model/branded.ts';
import type { EnvironmentReport, MendedCoverage } from '../ports/audit-coverage.ts';
import type { CaptureConfiguration, MessageKey } from '../ports/audit-database.ts';
import { type DdlMessage, ddlMessage } from './ddl-message.ts';
import type { StatementContext } from './statement-context.ts';

export const messagePrefix = 'rowseal';

export type ForgeryReason = 'BadMac' | 'Malformed' | 'WrongTransaction' | 'Replayed' | 'NotTransactional';

export type Message =
  | { readonly kind: 'open'; readonly pid: number; readonly relation: number; readonly operation: string; readonly statement: StatementContext }
  | { readonly kind: 'close'; readonly relation: number; readonly operation: string }
  | { readonly kind: 'digest'; readonly pid: number; readonly entry: 'policy.apply' | 'policy.drift'; readonly relation: number; readonly digest: string | null; readonly user: string }
  | DdlMessage
  | { readonly kind: 'environment'; readonly capture: string; readonly report: EnvironmentReport }
  | { readonly kind: 'marker'; readonly capture: string; readonly nonce: string; readonly proven: string | undefined }
  | { readonly kind: 'configuration'; readonly capture: string; readonly configuration: CaptureConfiguration; readonly mended: readonly MendedCoverage[]; readonly since: string | undefined };

/** Where the message stands in the stream. */
export interface MessagePlace {
  readonly xid: number;
  /** End of the message's record, as pgoutput gives it. */
  readonly lsn: Lsn;
  /** That of the last proven message of the same transaction: a copy of it or of an earlier one was written before. */
  readonly after: Lsn;
}

const macBytes = 32;

/** Attacker-controlled until its HMAC holds: any role may write a message with our prefix. */
export function readMessage(content: Uint8Array, key: MessageKey, place: MessagePlace): Message | ForgeryReason {
  if (content.length <= macBytes) return 'Malformed';
  const signed = content.subarray(macBytes);
  const inner = createHash('sha256').update(key.inner).update(signed).digest();
  const expected = createHash('sha256').update(key.outer).update(inner).digest();
  if (!timingSafeEqual(expected, content.subarray(0, macBytes))) return 'BadMac';
  const header = /^(\d{1,20}) (\d{1,10}) ([0-9A-F]{1,8}\/[0-9A-F]{1,8}) /.exec(Buffer.from(signed.buffer, signed.byteOffset, Math.min(signed.length, 64)).toString('latin1'));
  if (header === null) return 'Malformed';
  if (Number(BigInt(header[1] ?? '0') & 0xffff_ffffn) !== place.xid) return 'WrongTransaction';
  const written = parseLsn(header[3] ?? '');
  if (written < place.after || written > place.lsn) return 'Replayed';
  return parseBody(Buffer.from(signed).toString('utf8', header[0].length), Number(header[2])) ?? 'Malformed';
}

/** Our own functions wrote this; what does not fit is another version's. */
function parseBody(text: string, pid: number): Message | undefined {
  const body = JSON.parse(text) as readonly unknown[];
  switch (body[0]) {
    case 'o':
      return openMessage(body, pid);
    case 'c':
      return { kind: 'close', relation: Number(body[1]), operation: String(body[2]) };
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

function openMessage(body: readonly unknown[], pid: number): Message {
  const [, relation, operation, depth, user, role, effective, claims, application, client] = body;
  const login = String(user);
  const statement: StatementContext = {
    depth: Number(depth),
    user: login,
    role: role === 'none' || typeof role !== 'string' ? login : role,
    effective: typeof effective === 'string' ? effective : login,
    claims: textOrNull(claims),
    application: textOrNull(application),
    client: textOrNull(client),
  };
  return { kind: 'open', pid, relation: Number(relation), operation: String(operation), statement };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

// What a statement says of itself in the WAL: parsed once it is known to be ours (DESIGN §5, Who; adapters/postgres/statement-functions.ts).
import { isUtf8 } from 'node:buffer';
import { type ActorFacts, statementActor } from './actor.ts';

export type StatementMessage =
  | { readonly kind: 'open'; readonly relation: number; readonly operation: string; readonly nested: boolean; /** Canonical JSON. */ readonly actor: string }
  | { readonly kind: 'close'; readonly relation: number; readonly operation: string }
  | { readonly kind: 'begin'; readonly actor: string };

const separator = '\x1f';
const separatorBytes = 1;
const leadPattern = new RegExp(`^(b${separator})?([vr]${separator})?(?:(\\d{1,10})${separator})?`);

/** The same session says the same again and again. */
const maxKnown = 4_096;

export type StatementReader = (content: Uint8Array) => StatementMessage | undefined;

/** Reads, and remembers what it read last. */
export function createStatementReader(): StatementReader {
  const known = new Map<string, StatementMessage | undefined>();
  return (content) => {
    const bytes = latin1(content);
    if (known.has(bytes)) return known.get(bytes);
    const message = readStatement(content);
    if (known.size >= maxKnown) known.clear();
    known.set(bytes, message);
    return message;
  };
}

/**
 * Parts in this order, those without a value left out: `b` for a transaction's begin; `v` (claims are checked) or `r` (the role is the
 * claim); length of the claims; then of a statement its operation; client; of a statement how it is placed and its relation; process,
 * application, login, role; of a statement the caller; claims. Undefined where a part holds what separates them.
 */
function readStatement(content: Uint8Array): StatementMessage | undefined {
  const text = isUtf8(content) ? utf8.decode(content) : latin1(content);
  if (text.startsWith(`c${separator}`)) return closeMessage(text.split(separator));
  return openMessage(content, text);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A database without an encoding: each byte a character, so that different names stay different. */
function latin1(content: Uint8Array): string {
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
}

function closeMessage(parts: readonly string[]): StatementMessage | undefined {
  const [, operation, relation, ...more] = parts;
  return operation === undefined || relation === undefined || more.length > 0 ? undefined : { kind: 'close', relation: Number(relation), operation };
}

function openMessage(content: Uint8Array, text: string): StatementMessage | undefined {
  const lead = leadPattern.exec(text);
  const begins = lead?.[1] !== undefined;
  const claims = lead?.[3] === undefined ? undefined : tail(content, Number(lead[3]));
  if (lead?.[3] !== undefined && claims === undefined) return undefined;
  const end = claims === undefined ? text.length : text.length - claims.length - separatorBytes;
  const parts = text.slice(lead?.[0].length ?? 0, end).split(separator);
  const operation = begins ? '' : (parts.shift() ?? '');
  const client = /[.:]/.test(parts[0] ?? '') ? parts.shift() : undefined;
  const [placed, relation] = begins ? ['0', '0'] : parts.splice(0, 2);
  const [pid, application, user, role, caller, ...more] = parts;
  if (pid === undefined || application === undefined || user === undefined || role === undefined || more.length > 0 || (caller === undefined) !== begins) return undefined;
  const mark = lead?.[2]?.[0];
  // Somebody called `rowseal.open` himself, or hid from it who called: all but the caller's word is still true.
  const facts: ActorFacts = { application, caller: placed === '2' ? undefined : caller, claims, client, mark, pid: Number(pid), role, user, ofTransaction: begins };
  const actor = statementActor(facts);
  return begins ? { kind: 'begin', actor } : { kind: 'open', relation: Number(relation), operation, nested: placed !== '0', actor };
}

/** The claims stand last, and may hold anything; undefined where the length can't be theirs. */
function tail(content: Uint8Array, length: number): string | undefined {
  const start = content.length - length;
  if (start < 1 || content[start - 1] !== separator.charCodeAt(0)) return undefined;
  const bytes = content.subarray(start);
  return isUtf8(content) ? utf8.decode(bytes) : latin1(bytes);
}

// A journal object: a signed header, and the compressed source state and entries it commits (DESIGN §6, Sealing).
import { treeSize, type TreeSize } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import { decodeHash, encodeBase64 } from './base64.ts';
import type { SigningKey, VerifierKey } from './keys.ts';
import { sha256Hex } from './merkle.ts';
import { openNote, signNote } from './note.ts';
import { parseCount, parseHex, parseTime } from './note-fields.ts';

const maxHeaderBytes = 64 * 1024;
/** What the first object of a chain names as its predecessor. */
export const noPrevious = '0'.repeat(64);

export interface JournalHeader {
  readonly origin: string;
  /** From 1. */
  readonly number: number;
  /** SHA-256 (hex) of the whole previous object; `noPrevious` for the first. */
  readonly previous: string;
  readonly sizeBefore: TreeSize;
  readonly sizeAfter: TreeSize;
  readonly rootAfter: Uint8Array;
  /** RFC 3339 with milliseconds, UTC. */
  readonly time: string;
  /** SHA-256 (hex) of the canonical JSON of the log's state. */
  readonly stateDigest: string;
}

export interface JournalObject extends JournalHeader {
  /** SHA-256 (hex) of the whole object: what the next one names. */
  readonly digest: string;
  /** Compressed; `decodeJournalBody` opens it. */
  readonly body: Uint8Array;
}

/** `journal/<n, 20 digits>`. */
export function journalKey(number: number): string {
  return `journal/${String(number).padStart(20, '0')}`;
}

/** The object's bytes; `body` is what `compressJournalBody` gave. */
export async function signJournal(header: JournalHeader, body: Uint8Array, key: SigningKey): Promise<Buffer> {
  const text = [
    `${header.origin}/journal/v1`,
    header.number,
    header.previous,
    header.sizeBefore,
    header.sizeAfter,
    encodeBase64(header.rootAfter),
    header.time,
    `state ${header.stateDigest}`,
    `body ${body.length} ${sha256Hex(body)}`,
  ].join('\n');
  return Buffer.concat([await signNote(`${text}\n`, [key]), Buffer.from('\n'), body]);
}

/**
 * Attacker-controlled input: checks signature, origin, and the body's length and digest, so that every byte is covered.
 * Number and links are the caller's to compare. Throws BadNote or BadLogData.
 */
export function openJournal(bytes: Uint8Array, origin: string, keys: readonly VerifierKey[]): JournalObject {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const textEnd = whole.subarray(0, maxHeaderBytes).indexOf('\n\n');
  const noteEnd = textEnd < 0 ? -1 : whole.subarray(0, maxHeaderBytes).indexOf('\n\n', textEnd + 2);
  if (noteEnd < 0) throw new RowsealError('BadLogData', 'a journal object without a signed header');
  const body = whole.subarray(noteEnd + 2);
  const { text } = openNote(whole.subarray(0, noteEnd + 1), keys);
  return { ...parseHeader(text, origin, body), digest: sha256Hex(bytes), body };
}

function parseHeader(text: string, origin: string, body: Uint8Array): JournalHeader {
  const [kind, number, previous, sizeBefore, sizeAfter, root, time, state, bodyLine, ...rest] = text.slice(0, -1).split('\n');
  if (kind !== `${origin}/journal/v1`) throw new RowsealError('BadLogData', `not a journal object of ${origin}`);
  if (bodyLine !== `body ${body.length} ${sha256Hex(body)}` || rest.length > 0) {
    throw new RowsealError('BadLogData', 'the body of the journal object is not the one its header names');
  }
  const header = {
    origin,
    number: parseCount(number),
    previous: parseHex(previous),
    sizeBefore: treeSize(parseCount(sizeBefore)),
    sizeAfter: treeSize(parseCount(sizeAfter)),
    rootAfter: decodeHash(root ?? ''),
    time: parseTime(time),
    stateDigest: parseHex(state?.startsWith('state ') === true ? state.slice('state '.length) : undefined),
  };
  if (header.number < 1 || header.sizeAfter < header.sizeBefore) throw new RowsealError('BadLogData', 'a journal object with impossible numbers');
  return header;
}

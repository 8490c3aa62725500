// A digest record: one link of the chain that commits to each published checkpoint (DESIGN §6).
import { formatLsn, type Lsn, parseLsn, treeSize, type TreeSize } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import { decodeHash, encodeBase64 } from './base64.ts';
import type { SigningKey, VerifierKey } from './keys.ts';
import { sha256Hex } from './merkle.ts';
import { openNote, signNote } from './note.ts';
import { parseCount, parseHex, parseTime } from './note-fields.ts';

interface DigestSource {
  readonly name: string;
  readonly incarnation: number;
  readonly lsn: Lsn;
  readonly seq: number;
}

export interface DigestRecord {
  readonly origin: string;
  /** From 1. */
  readonly number: number;
  /** SHA-256 (hex) of the whole previous record; zeros for the first. */
  readonly previous: string;
  readonly firstJournal: number;
  readonly lastJournal: number;
  readonly size: TreeSize;
  readonly root: Uint8Array;
  /** RFC 3339 with milliseconds, UTC. */
  readonly time: string;
  /** Positions after `lastJournal`, by name. */
  readonly sources: readonly DigestSource[];
}

/** `digests/<m, 20 digits>`. */
export function digestKey(number: number): string {
  return `digests/${String(number).padStart(20, '0')}`;
}

export async function signDigest(record: DigestRecord, key: SigningKey): Promise<Uint8Array> {
  const sources = [...record.sources].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const lines = [
    `${record.origin}/digest/v1`,
    record.number,
    record.previous,
    `journal ${record.firstJournal} ${record.lastJournal}`,
    record.size,
    encodeBase64(record.root),
    record.time,
    ...sources.map(({ name, incarnation, lsn, seq }) => `source ${escapeName(name)} ${incarnation}:${formatLsn(lsn)}:${seq}`),
  ];
  return signNote(`${lines.join('\n')}\n`, [key]);
}

/** Attacker-controlled input; `digest` is the SHA-256 (hex) that the next record names. Throws BadNote or BadLogData. */
export function openDigest(bytes: Uint8Array, origin: string, keys: readonly VerifierKey[]): DigestRecord & { readonly digest: string } {
  return { ...parseRecord(openNote(bytes, keys).text, origin), digest: sha256Hex(bytes) };
}

function parseRecord(text: string, origin: string): DigestRecord {
  const [kind, number, previous, journal = '', size, root, time, ...sources] = text.slice(0, -1).split('\n');
  if (kind !== `${origin}/digest/v1`) throw new RowsealError('BadLogData', `not a digest record of ${origin}`);
  const [word, first, last, ...more] = journal.split(' ');
  if (word !== 'journal' || more.length > 0) throw new RowsealError('BadLogData', 'a digest record without a journal range');
  const record = {
    origin,
    number: parseCount(number),
    previous: parseHex(previous),
    firstJournal: parseCount(first),
    lastJournal: parseCount(last),
    size: treeSize(parseCount(size)),
    root: decodeHash(root ?? ''),
    time: parseTime(time),
    sources: sources.map(parseSource),
  };
  if (record.number < 1 || record.firstJournal < 1 || record.lastJournal < record.firstJournal) {
    throw new RowsealError('BadLogData', 'a digest record with impossible numbers');
  }
  return record;
}

function parseSource(line: string): DigestSource {
  const match = /^source (\S+) (\d+):([0-9A-F]{1,8}\/[0-9A-F]{1,8}):(\d+)$/.exec(line);
  if (!match) throw new RowsealError('BadLogData', 'a malformed source line in a digest record');
  const [, name = '', incarnation, position = '', seq] = match;
  return { name: unescapeName(name), incarnation: parseCount(incarnation), lsn: parseLsn(position), seq: parseCount(seq) };
}

/** A database may have any name; a line may not hold spaces in it, nor control characters. */
function escapeName(name: string): string {
  return name.replaceAll(/[%\s\p{Cc}\p{Z}]/gu, (character) => encodeURIComponent(character));
}

function unescapeName(escaped: string): string {
  try {
    const name = decodeURIComponent(escaped);
    if (escapeName(name) === escaped) return name;
  } catch (cause) {
    throw new RowsealError('BadLogData', 'a malformed source name in a digest record', { cause });
  }
  throw new RowsealError('BadLogData', 'a source name with two spellings in a digest record');
}

// C2SP signed notes: text, a blank line, signature lines.
import { RowsealError } from '../model/errors.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { isKeyName, type SigningKey, type VerifierKey } from './keys.ts';

const maxNoteBytes = 1024 * 1024;
const maxSignatures = 100;
const linePrefix = '— ';

interface NoteSignature {
  readonly name: string;
  readonly id: number;
  readonly signature: Uint8Array;
}

export interface Note {
  /** With its final newline, without the blank line. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Signs with each key. Throws BadNote for a text that is no note's. */
export async function signNote(text: string, keys: readonly SigningKey[]): Promise<Uint8Array> {
  const message = Buffer.from(text);
  const signatures = await Promise.all(
    keys.map(async (key): Promise<NoteSignature> => ({ name: key.name, id: key.verifier.id, signature: await key.sign(message) })),
  );
  const bytes = formatNote({ text, signatures });
  parseNote(bytes);
  return bytes;
}

export function formatNote({ text, signatures }: Note): Uint8Array {
  const lines = signatures.map(({ name, id, signature }) => {
    const idBytes = Buffer.alloc(4);
    idBytes.writeUInt32BE(id);
    return `${linePrefix}${name} ${encodeBase64(Buffer.concat([idBytes, signature]))}\n`;
  });
  return Buffer.from(`${text}\n${lines.join('')}`);
}

/** Attacker-controlled input. Throws BadNote; checks no signature. */
export function parseNote(bytes: Uint8Array): Note {
  const whole = decodeText(bytes);
  const split = whole.lastIndexOf('\n\n');
  if (split < 0 || !whole.endsWith('\n')) throw badNote('not a signed note: no blank line before its signatures');
  const text = whole.slice(0, split + 1);
  const lines = whole.slice(split + 2, -1).split('\n');
  if (lines.length > maxSignatures) throw badNote(`a note with more than ${maxSignatures} signatures`);
  return { text, signatures: lines.map(parseSignature) };
}

/**
 * The note, once at least one known key signed it. Signatures of unknown keys are ignored; a false one of a known key
 * rejects the whole note (C2SP signed-note, Signatures). Throws BadNote.
 */
export function openNote(bytes: Uint8Array, keys: readonly VerifierKey[]): Note {
  const note = parseNote(bytes);
  const message = Buffer.from(note.text);
  let verified = 0;
  for (const { name, id, signature } of note.signatures) {
    const key = keys.find((known) => known.name === name && known.id === id);
    if (key === undefined) continue;
    if (!key.verify(message, signature)) throw badNote(`the signature of ${name} is false`);
    verified += 1;
  }
  if (verified === 0) throw badNote(`no signature of ${keys.map((key) => key.name).join(', ')}; signed by ${signers(note)}`);
  return note;
}

/** Whose signatures stand on the note, true or false; for messages. */
export function signers(note: Note): string {
  return note.signatures.map(({ name, id }) => `${name}+${id.toString(16).padStart(8, '0')}`).join(', ');
}

function parseSignature(line: string): NoteSignature {
  const [name = '', encoded = '', ...rest] = line.startsWith(linePrefix) ? line.slice(linePrefix.length).split(' ') : [];
  const bytes = decodeBase64(encoded);
  if (!isKeyName(name) || rest.length > 0 || bytes === undefined || bytes.length < 5) throw badNote('a malformed signature line');
  return { name, id: bytes.readUInt32BE(0), signature: bytes.subarray(4) };
}

function decodeText(bytes: Uint8Array): string {
  if (bytes.length > maxNoteBytes) throw badNote(`a note of ${bytes.length} bytes is longer than ${maxNoteBytes}`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw badNote('a note that is not UTF-8', cause);
  }
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 && code !== 0x0a) throw badNote('a note with control characters');
  }
  return text;
}

function badNote(message: string, cause?: unknown): RowsealError {
  return new RowsealError('BadNote', message, { cause });
}

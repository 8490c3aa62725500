// Opening signed files without throwing: what is wrong with one becomes a finding that names it.
import { type Checkpoint, openCheckpoint } from '../log/checkpoint.ts';
import { type DigestRecord, openDigest } from '../log/digest.ts';
import { type JournalObject, openJournal } from '../log/journal.ts';
import type { VerifierKey } from '../log/keys.ts';
import { parseNote, signers } from '../log/note.ts';
import { RowsealError } from '../model/errors.ts';
import type { Finding, Findings } from './verdict.ts';

export type OpenedDigest = DigestRecord & { readonly digest: string };

/** Opens the files of one log with one key; its origin is the key's name. */
export class SignedFiles {
  readonly origin: string;
  readonly #key: VerifierKey;
  readonly #findings: Findings;

  constructor(key: VerifierKey, findings: Findings) {
    this.origin = key.name;
    this.#key = key;
    this.#findings = findings;
  }

  journal(file: string, bytes: Uint8Array): JournalObject | undefined {
    return this.#opened(file, () => {
      const object = openJournal(bytes, this.origin, [this.#key]);
      this.#onlyOurs(bytes.subarray(0, bytes.length - object.body.length - 1));
      return object;
    });
  }

  digest(file: string, bytes: Uint8Array): OpenedDigest | undefined {
    return this.#opened(file, () => {
      const record = openDigest(bytes, this.origin, [this.#key]);
      this.#onlyOurs(bytes);
      return record;
    });
  }

  checkpoint(file: string, bytes: Uint8Array): Checkpoint | undefined {
    return this.#opened(file, () => {
      const checkpoint = openCheckpoint(bytes, this.origin, [this.#key]);
      this.#onlyOurs(bytes);
      return checkpoint;
    });
  }

  /** A signature that nobody can check may be added by anybody, so a file may not carry one. */
  #onlyOurs(note: Uint8Array): void {
    const { signatures } = parseNote(note);
    if (signatures.length !== 1) throw new RowsealError('BadNote', `${signatures.length} signatures instead of the one of ${this.origin}`);
  }

  #opened<T>(file: string, open: () => T): T | undefined {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof RowsealError)) throw error;
      this.#findings.add({ code: error.code === 'BadNote' ? 'BadSignature' : 'BadContent', file, message: error.message });
      return undefined;
    }
  }
}

/**
 * Tells a wrong key or a foreign log from a tampered one: not one of the samples, the log's first files, carries a
 * signature line of the key. Undefined where one does, or nothing there is a note.
 */
export function keyFinding(key: VerifierKey, samples: ReadonlyMap<string, Uint8Array>): Finding | undefined {
  let first: { file: string; by: string; sameName: boolean } | undefined;
  for (const [file, bytes] of samples) {
    const note = noteOf(file, bytes);
    if (note === undefined) continue;
    if (note.signatures.some(({ name, id }) => name === key.name && id === key.id)) return undefined;
    first ??= { file, by: signers(note), sameName: note.signatures.some(({ name }) => name === key.name) };
  }
  if (first === undefined) return undefined;
  const own = key.text.slice(0, key.text.lastIndexOf('+'));
  return first.sameName
    ? { code: 'WrongKey', file: first.file, message: `no signature by the key ${own} was found; the log is signed by ${first.by}` }
    : { code: 'ForeignLog', file: first.file, message: `this is another log: no signature by ${own} was found; it is signed by ${first.by}` };
}

function noteOf(file: string, bytes: Uint8Array): ReturnType<typeof parseNote> | undefined {
  try {
    if (!file.startsWith('journal/')) return parseNote(bytes);
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const textEnd = whole.indexOf('\n\n');
    return parseNote(whole.subarray(0, whole.indexOf('\n\n', textEnd + 2) + 1));
  } catch (error) {
    if (error instanceof RowsealError) return undefined;
    throw error;
  }
}

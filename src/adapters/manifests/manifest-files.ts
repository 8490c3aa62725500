// The manifests of a folder as they were last believed: a file counts once it has been left alone for a moment and can be parsed.
import { readFile, stat } from 'node:fs/promises';
import { type RowsealError, toRowsealError } from '../../model/errors.ts';
import { listFiles } from './list-files.ts';
import { type ManifestObject, parseDocuments } from './parse-documents.ts';

interface KnownFile {
  readonly signature: string;
  readonly objects: readonly ManifestObject[];
  /** Why the present content is not the one in `objects`. */
  readonly broken?: RowsealError;
  readonly missingSinceMs?: number;
}

export interface Scan {
  readonly objects: readonly ManifestObject[];
  /** By file. What such a file last declared stays in force. */
  readonly broken: ReadonlyMap<string, RowsealError>;
  /** True while some file was changed so recently that it may be half-written. */
  readonly unsettled: boolean;
}

export class ManifestFiles {
  readonly #path: string;
  readonly #ignore: string;
  readonly #settleMs: number;
  readonly #known = new Map<string, KnownFile>();

  constructor(options: { readonly path: string; readonly ignore: string; readonly settleMs: number }) {
    this.#path = options.path;
    this.#ignore = options.ignore;
    this.#settleMs = options.settleMs;
  }

  /** Throws BadUsage when the folder itself cannot be listed; then nothing is known to have changed. */
  async scan(nowMs: number): Promise<Scan> {
    const present = new Set(await listFiles(this.#path, this.#ignore));
    let unsettled = false;
    for (const file of present) if (await this.#look(file, nowMs)) unsettled = true;
    for (const [file, known] of this.#known) {
      if (present.has(file)) continue;
      unsettled = true;
      // Editors replace a file by removing it for an instant, so that one look is no proof of its absence.
      if (known.missingSinceMs === undefined) this.#known.set(file, { ...known, missingSinceMs: nowMs });
      else if (nowMs - known.missingSinceMs >= this.#settleMs) this.#known.delete(file);
    }
    return this.#result(unsettled);
  }

  #result(unsettled: boolean): Scan {
    const files = [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1));
    const broken = new Map(files.flatMap(([file, known]) => (known.broken === undefined ? [] : [[file, known.broken] as const])));
    return { objects: files.flatMap(([, known]) => known.objects), broken, unsettled };
  }

  /** True when the file must be looked at again soon. */
  async #look(file: string, nowMs: number): Promise<boolean> {
    const before = this.#known.get(file);
    const objects = before?.objects ?? [];
    try {
      const { mtimeMs, signature } = await signatureOf(file);
      if (before?.missingSinceMs !== undefined) {
        const { missingSinceMs: _, ...present } = before;
        this.#known.set(file, present);
      }
      if (before?.signature === signature) return false;
      // A time in the future says nothing about age; such a file is believed at once.
      const ageMs = nowMs - mtimeMs;
      if (ageMs >= 0 && ageMs < this.#settleMs) return true;
      const text = await readFile(file, 'utf8');
      if ((await signatureOf(file)).signature !== signature) return true;
      this.#known.set(file, parsed(text, { file, signature, objects }));
      return false;
    } catch (error) {
      const broken = toRowsealError(error, 'BadManifest', { object: file, next: 'make the file readable; until then what it last declared stays in force' });
      this.#known.set(file, { signature: '', objects, broken });
      return false;
    }
  }
}

function parsed(text: string, before: { readonly file: string; readonly signature: string; readonly objects: readonly ManifestObject[] }): KnownFile {
  const { file, signature, objects } = before;
  try {
    return { signature, objects: parseDocuments(text, file) };
  } catch (error) {
    return { signature, objects, broken: toRowsealError(error, 'BadManifest', { object: file }) };
  }
}

async function signatureOf(file: string): Promise<{ readonly signature: string; readonly mtimeMs: number }> {
  const { mtimeMs, mtimeNs, ctimeNs, size, ino } = await bigStat(file);
  return { signature: `${mtimeNs}/${ctimeNs}/${size}/${ino}`, mtimeMs };
}

async function bigStat(file: string) {
  const { mtimeNs, ctimeNs, size, ino } = await stat(file, { bigint: true });
  return { mtimeNs, ctimeNs, size, ino, mtimeMs: Number(mtimeNs / 1_000_000n) };
}

// Entries that are not handed to the log yet, encoded, and up to where they may be: a cut goes with the state after it.
import { lengthBytes, maxEntryBytes } from '../log/bundle.ts';
import { ByteWriter } from '../log/byte-writer.ts';
import type { SourceState } from '../log/source-state.ts';
import { RowsealError } from '../model/errors.ts';
import type { Batch } from '../ports/log-writer.ts';

/** What is up to the last cut. */
export interface ReadyEntries {
  readonly entries: number;
  readonly bytes: number;
  readonly stateChanged: boolean;
}

export class PendingBatch {
  readonly #writer = new ByteWriter();
  #blobs: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  #entries = 0;
  #begun = 0;
  #ready = { entries: 0, bytes: 0, state: undefined as SourceState | undefined };
  readonly #view: ReadyEntries = readyView(() => this.#ready);

  /** One entry's canonical JSON, and the payloads that it names by digest. Throws BadLogData when it is longer than a leaf may be. */
  add(entry: string, blobs: readonly Uint8Array[] = []): void {
    this.begin().text(entry);
    if (!this.end()) throw new RowsealError('BadLogData', 'an entry is longer than a leaf may be, even without its payloads');
    for (const bytes of blobs) this.#blobs.push({ at: this.#entries - 1, bytes });
  }

  /** For an entry that is written byte by byte: write it, then `end`, with nothing in between. */
  begin(): ByteWriter {
    this.#begun = this.#writer.kept;
    this.#writer.ensure(lengthBytes);
    this.#writer.length += lengthBytes;
    return this.#writer;
  }

  /** False when it was too long for a leaf: then it is as if it had never been begun. */
  end(): boolean {
    const length = this.#writer.kept - this.#begun - lengthBytes;
    if (length > maxEntryBytes) {
      this.#writer.rewind(this.#begun);
      return false;
    }
    this.#writer.putUint16(this.#begun, length);
    this.#entries += 1;
    return true;
  }

  /** Everything so far, and this state, may be sealed together. */
  cut(state: SourceState): void {
    this.#ready = { entries: this.#entries, bytes: this.#writer.kept, state };
  }

  /** Bytes since the last cut. */
  get uncutBytes(): number {
    return this.#writer.kept - this.#ready.bytes;
  }

  /** A live view. */
  get ready(): ReadyEntries {
    return this.#view;
  }

  /** What is up to the last cut, as one buffer; undefined when neither entries nor a new state wait. */
  take(): Batch | undefined {
    const { entries, bytes, state } = this.#ready;
    if (state === undefined) return undefined;
    const blobs = this.#blobs.filter(({ at }) => at < entries).map((blob) => blob.bytes);
    this.#blobs = this.#blobs.filter(({ at }) => at >= entries).map((blob) => ({ at: blob.at - entries, bytes: blob.bytes }));
    this.#entries -= entries;
    this.#ready = { entries: 0, bytes: 0, state: undefined };
    return { entries: { bytes: this.#writer.give(bytes), count: entries }, state, blobs };
  }
}

function readyView(ready: () => { readonly entries: number; readonly bytes: number; readonly state: SourceState | undefined }): ReadyEntries {
  return {
    get entries() {
      return ready().entries;
    },
    get bytes() {
      return ready().bytes;
    },
    get stateChanged() {
      return ready().state !== undefined;
    },
  };
}

// What produces entries hands them here to be sealed; what owns a log watches it through here.
import type { EncodedEntries } from '../log/bundle.ts';
import type { SourceState } from '../log/source-state.ts';

export interface Batch {
  /** Each the canonical JSON of one entry, never empty, at most 65,535 bytes; what is longer goes into `blobs`. */
  readonly entries: EncodedEntries;
  /** The state of the source once these entries are sealed. Entries and state are committed together or not at all. */
  readonly state: SourceState;
  /** Payloads that entries of this batch name by digest; stored before the journal object that needs them. */
  readonly blobs?: readonly Uint8Array[];
}

export interface SealedEntry {
  readonly leafIndex: number;
  /** Canonical JSON. */
  readonly entry: Uint8Array;
}

export interface LogWriterStatus {
  readonly treeSize: number;
  readonly sealedSize: number;
  /** Base64; of the latest published checkpoint. */
  readonly rootHash: string;
  /** RFC 3339. */
  readonly sealedAt?: string;
  readonly publishedAt?: string;
}

export interface LogWriter {
  readonly origin: string;
  /** The sealed state of a source, as recovered or as of the last commit; undefined when it never sealed anything. */
  sourceState(source: string): SourceState | undefined;
  /** The sealed states of all sources. */
  sources(): readonly SourceState[];
  /**
   * Commits the batch to the journal, together with whatever else is waiting. Resolves after the commit: only then may the
   * source be confirmed. Batches of one source are committed in the order of the calls; a rejected batch was not committed
   * and the writer is finished (WriterFenced, StorageUnreachable after its retries, …).
   */
  append(batch: Batch, signal: AbortSignal): Promise<void>;
  status(): LogWriterStatus;
  /** Everything that is sealed at the call, from a leaf on, in order. Absent where the log cannot be read back. */
  sealed?(fromLeaf: number, signal: AbortSignal): AsyncIterable<SealedEntry>;
  /** A payload that an entry names by its digest (hex), as far as it is stored. */
  blob?(digest: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Rejects when the writer can no longer go on by itself; the owner opens a new one, which recovers. */
  readonly failed: Promise<never>;
  /** Seals what waits, publishes everything, and stops. */
  close(signal: AbortSignal): Promise<void>;
}

// Where a log's files are kept: write-once keys under one root, and `checkpoint`, the only mutable one (DESIGN §6).

export interface StoredKey {
  readonly key: string;
  readonly sizeBytes: number;
}

export interface StoredVersion extends StoredKey {
  /** Opaque; empty where the store keeps no versions. */
  readonly versionId: string;
  readonly deleteMarker: boolean;
  /** True for the version that a plain read returns. */
  readonly latest: boolean;
  /** RFC 3339; versions of one key are listed oldest first. */
  readonly lastModified: string;
}

export interface Retention {
  readonly mode: 'Compliance' | 'Governance';
  readonly retainUntil: Date;
}

export interface CreateOptions {
  readonly retainUntil: Date;
  readonly signal: AbortSignal;
}

/** What the verifier needs: reading only. Keys are relative to the log's root, with `/` between parts. */
export interface LogReader {
  /** For messages: `file:///…`, `s3://bucket/prefix`. */
  readonly location: string;
  /** The bytes a plain read returns, or undefined when there is no such key. */
  read(key: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** All keys with this prefix, in lexicographic order of their UTF-8 bytes. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<StoredKey>;
  /** All versions and delete markers, by key, oldest first within a key; one version a key where the store keeps none. */
  versions(prefix: string, signal: AbortSignal): AsyncIterable<StoredVersion>;
  readVersion(key: string, versionId: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** The lock on one version; undefined where there is none or the store knows no locks. */
  retention(key: string, versionId: string, signal: AbortSignal): Promise<Retention | undefined>;
}

export interface LogStore extends LogReader {
  /**
   * Durably creates a write-once object; of any number of concurrent creators exactly one gets `created`.
   * A response that was lost is resolved by reading back: `exists` means that the key is there, whoever wrote it.
   */
  create(key: string, bytes: Uint8Array, options: CreateOptions): Promise<'created' | 'exists'>;
  /** Replaces `checkpoint` if it is still `expected` (undefined: absent); false when somebody else replaced it. */
  replaceCheckpoint(bytes: Uint8Array, expected: Uint8Array | undefined, signal: AbortSignal): Promise<boolean>;
  /** Extends the lock on every version of a key; never shortens. */
  extendRetention(key: string, retainUntil: Date, signal: AbortSignal): Promise<void>;
  /** Proves, at start, that conditional creation and locks work here; throws StorageNotWriteOnce saying which does not. */
  probe(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

// The audit half of a database: installing the capture, its slot, and the stream of committed changes (DESIGN §5).
import type { ByteWriter } from '../log/byte-writer.ts';
import type { Lsn } from '../model/branded.ts';
import type { Lineage } from '../log/source-state.ts';
import type { EnvironmentReport, CoverageProblem, MendedCoverage, TableCoverage } from './audit-coverage.ts';
import type { ColumnTreatment, ConfiguredColumns, NamedColumns, PresentColumns } from '../model/audited-columns.ts';
import type { ReadSettings, ServerLog } from './server-log.ts';
import type { AuditSettings } from './audit-settings.ts';
import type { RelationShape } from './relation-shape.ts';
import type { Snapshot } from './snapshot.ts';

export type { RelationShape } from './relation-shape.ts';

/** One audited table as the catalog had it; partitions of a declared root are tables of their own. */
export interface ConfiguredTable {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** OIDs of the partitioned tables above it, nearest first. */
  readonly ancestors: readonly number[];
  /** Columns of the primary key; empty without one. */
  readonly key: readonly string[];
  readonly operations: readonly ('Insert' | 'Update' | 'Delete' | 'Truncate')[];
  /** `sha256:<hex>` of its policies, flags and owner; null where no RowPolicy ever installed the digest function. */
  readonly policyDigest: string | null;
  /** Rows belong to what their transaction said of itself at its begin; to their statement when left out. */
  readonly context?: 'Transaction';
  /** Where values of columns are not recorded as they are. */
  readonly columns?: ConfiguredColumns;
}

/** A table that appeared while its root was captured. */
export interface FoundPartition extends Pick<ConfiguredTable, 'ancestors' | 'key'> {
  /** Its own and its ancestors', by OID. */
  readonly columns: ReadonlyMap<number, NamedColumns>;
}

/** What is captured from a point in the WAL on; written there as an authenticated message. */
export interface CaptureConfiguration {
  readonly tables: readonly ConfiguredTable[];
  readonly claimsSetting: string;
  /** What proves a statement's message: that nobody else may write one, or an HMAC, also when left out. */
  readonly proof?: 'Privilege' | 'Hmac';
  /** Declared, and not there to be captured: nothing of them is in the log until the configuration names them. */
  readonly absent: readonly { readonly schema: string; readonly table: string; readonly problem: CoverageProblem }[];
  readonly schemaChanges: 'Record' | 'Ignore';
  /** How policy changes by others are found: told in their own transactions, or by comparison some time after. */
  readonly policyEvidence: 'wal' | 'polled';
}

/** What a look at the catalog found. */
export interface CoverageLook {
  /** What is in force; undefined where `install` has something to install or mend, or the WAL is still to be told of what was. */
  readonly configuration: CaptureConfiguration | undefined;
  /** What stands in the database, told or not; left out where something is missing. */
  readonly standing?: CaptureConfiguration;
  /** Every declared table and partition, whether captured or not. */
  readonly tables: readonly TableCoverage[];
  /** Whether DDL is told by event triggers, in its own transaction; else only comparisons find it. */
  readonly eventTriggers: boolean;
}

export interface SlotFacts {
  readonly name: string;
  /** False when somebody made one of this name for another plugin or database. */
  readonly ours: boolean;
  readonly confirmedFlushLsn?: Lsn;
  /** False when the WAL it needs is gone or the slot was invalidated. */
  readonly usable: boolean;
  /** `wal_status`, and the invalidation's reason where the server says it. */
  readonly health: string;
  /** Process that streams from it now. */
  readonly activePid?: number;
}

/** How much the server keeps for the slot, and what endangers that. */
export interface SlotRetention {
  readonly retainedBytes: number;
  /** WAL that may still be written before the slot is lost; undefined without a limit. */
  readonly safeBytes?: number;
  /** No max_slot_wal_keep_size: a slot that nobody reads fills the disk. */
  readonly unlimited: boolean;
  /** There are standbys, and nothing keeps us from reading what they do not have yet. */
  readonly aheadOfStandbys: boolean;
}

export interface SourceFacts {
  readonly systemIdentifier: string;
  readonly database: string;
  readonly timeline: number;
  readonly flushLsn: Lsn;
}

/** One CopyData frame of the walsender: `data` is a pgoutput message, a view into what was received. */
export interface StreamFrame {
  readonly walStart: Lsn;
  readonly data: Uint8Array;
}

/** One changed row, valid until the next frame is decoded: whoever wants its bytes has them written where they belong. */
export interface RowBytes {
  /** Whether every column of the key was sent. */
  hasKey(): boolean;
  /** The key's columns as a canonical JSON object; only with `hasKey`. */
  writeKey(writer: ByteWriter): void;
  /** `{"after":{…},"before":{…},"unsent":[…]}`, canonical: rows of column name to text form or null; `unsent` names columns whose unchanged out-of-line values the server did not send. */
  writeChange(writer: ByteWriter): void;
}

/** What the decoder must know of a table; another object stands for another table. */
export interface DecodedTable {
  /** Columns of the primary key; empty without one. */
  readonly key: readonly string[];
  /** By position in the relation's description; undefined for values that are recorded as they are. */
  readonly treatments?: readonly (ColumnTreatment | undefined)[];
}

export type StreamEvent =
  | { readonly type: 'begin'; readonly commitLsn: Lsn; readonly commitTimeMicros: bigint; readonly xid: number }
  | { readonly type: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn }
  | { readonly type: 'relation'; readonly relation: RelationShape }
  | {
      readonly type: 'change';
      readonly operation: 'insert' | 'update' | 'delete';
      readonly lsn: Lsn;
      readonly relation: number;
      readonly row: RowBytes;
    }
  | { readonly type: 'truncate'; readonly lsn: Lsn; readonly relations: readonly number[]; readonly cascade: boolean; readonly restartIdentity: boolean }
  | { readonly type: 'message'; readonly lsn: Lsn; readonly transactional: boolean; readonly prefix: string; readonly content: Uint8Array }
  | { readonly type: 'other' };

export interface ChangeDecoder {
  /** Throws BadLogData on anything that is not protocol version 1 of pgoutput. */
  decode(frame: StreamFrame): StreamEvent;
}

export interface ChangeStream {
  /** Frames in the order of the WAL; ends with DatabaseUnreachable, SlotLost, …; never just ends unless closed. */
  readonly frames: AsyncIterable<readonly StreamFrame[]>;
  /** End of the WAL that the server had decoded for us when it last said so. */
  readonly serverLsn: () => Lsn;
  /** What may be forgotten by the server: only ever an LSN whose sealed marker is committed. */
  confirm(lsn: Lsn): void;
  close(): Promise<void>;
}

/** Both halves of HMAC-SHA256's padded key; only the operator and the functions' owner can read it. */
export interface MessageKey {
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;
}

export interface AuditDatabase {
  /** Names of slot and publication for a log; also the address in our own messages. */
  captureName(logOrigin: string): string;
  facts(signal: AbortSignal): Promise<SourceFacts>;
  /** The server's timeline and those it came from. */
  lineage(signal: AbortSignal): Promise<Lineage>;
  /** Idempotent: functions, triggers, replica identity, publication. A table that is not there or not ours is left out. Throws DatabasePrivilege, WaitingForLock, Fenced. */
  install(logOrigin: string, settings: AuditSettings, signal: AbortSignal): Promise<readonly MendedCoverage[]>;
  /** Looks at what is captured, changing nothing. A look that finds all of it standing is the proof that the next gap of a table goes back to. */
  look(logOrigin: string, settings: AuditSettings, signal: AbortSignal): Promise<CoverageLook>;
  /** Compares roles, rights, settings and functions with the last look, and writes what changed into the WAL, or all of it; undefined when nothing is to be said. */
  reportEnvironment(logOrigin: string, extent: 'Changes' | 'Whole', signal: AbortSignal): Promise<EnvironmentReport | undefined>;
  /** Drops slot, publication, and triggers that no other log needs. */
  remove(logOrigin: string, signal: AbortSignal): Promise<void>;
  messageKey(signal: AbortSignal): Promise<MessageKey>;
  slot(logOrigin: string, signal: AbortSignal): Promise<SlotFacts | undefined>;
  retention(logOrigin: string, signal: AbortSignal): Promise<SlotRetention | undefined>;
  /** Drops our slot if there is one and creates a new one; resolves with its consistent point. */
  recreateSlot(logOrigin: string, signal: AbortSignal): Promise<Lsn>;
  /** The rows as they are now, or, once, as they were at the start of the slot just made, where that is asked for. The caller closes it. */
  openSnapshot(logOrigin: string, options: { readonly atSlotStart: boolean }, signal: AbortSignal): Promise<Snapshot>;
  /** Lets go of the snapshot of the slot just made, for which nobody will ask: it holds back vacuum. */
  dropSnapshot(): Promise<void>;
  /** Writes the configuration and the digests in force into the WAL, where no policy change can come in between. */
  emitConfiguration(logOrigin: string, settings: AuditSettings, mended: readonly MendedCoverage[], signal: AbortSignal): Promise<void>;
  emitMarker(logOrigin: string, nonce: string, signal: AbortSignal): Promise<void>;
  /** A table that the configuration in force does not name yet, such as a new partition, first written by this transaction; undefined when it is gone already. */
  partition(made: { readonly oid: number; readonly xid: number }, signal: AbortSignal): Promise<FoundPartition | undefined>;
  /** Columns of a table at the commit of that transaction or later; undefined when it is gone already, or that cannot be told. */
  columns(of: { readonly oid: number; readonly xid: number }, signal: AbortSignal): Promise<PresentColumns | undefined>;
  /** The server's own log, where the settings say that its files are. */
  serverLog(settings: ReadSettings): ServerLog;
  decoder(tableOf: (oid: number) => DecodedTable | undefined): ChangeDecoder;
  stream(logOrigin: string, from: Lsn, signal: AbortSignal): Promise<ChangeStream>;
}

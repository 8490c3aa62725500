// What the journal remembers of each source, so that recovery needs nothing else (DESIGN §6, Recovery).
import type { Lsn } from '../model/branded.ts';

/**
 * Strictly increasing for every source: the incarnation, the start of the commit record (known from the transaction's first
 * message on and the same at every replay; its end is not), changes of that transaction that are sealed.
 */
export interface SourcePosition {
  readonly incarnation: number;
  readonly lsn: Lsn;
  /** Row changes of the transaction whose commit record starts at `lsn`, counted from its start, that are sealed; `complete` says no more will come. */
  readonly seq: number;
  readonly complete: boolean;
}

/** The last sealed marker; every resume must first receive it again, identical (DESIGN §5, Resuming). */
export interface SealedMarker {
  readonly nonce: string;
  /** Start of the marker transaction's commit record: the highest LSN that may be confirmed to the server. */
  readonly commitLsn: Lsn;
  readonly xid: number;
}

/** A timeline that the server has left, and where its WAL ends for the one after it. */
export interface PastTimeline {
  readonly timeline: number;
  readonly end: Lsn;
}

/** The timeline of a server and those it came from, oldest first. */
export interface Lineage {
  readonly timeline: number;
  readonly past: readonly PastTimeline[];
}

/** The state of one source after a sealed batch; it is stored in the batch's journal object as canonical JSON. */
export interface SourceState {
  /** `postgresql/<system identifier>/<database>`. */
  readonly source: string;
  readonly position: SourcePosition;
  readonly marker?: SealedMarker;
  /** Digest of the sealed `relation` entry by table OID. */
  readonly relations: Readonly<Record<string, string>>;
  /** Policy-set digest in force by table OID. */
  readonly policies: Readonly<Record<string, string>>;
  /** Digest of the roles, rights, settings and functions around the policies. */
  readonly environment?: string;
  /** End of the WAL, in PostgreSQL's text form, up to which the coverage of all captured tables is proven. */
  readonly proven?: string;
  /** Where in the WAL, in PostgreSQL's text form, it was said last that nobody but us may write messages: none from before it is believed without an HMAC. */
  readonly plainSince?: string;
  /** The audited tables and operations in force at the position, as the capture wrote them. */
  readonly configuration: unknown;
  /** Of the server that was read last; absent in states of older versions. */
  readonly lineage?: Lineage;
  /** The declared database that it is read through, and how often that went over to another source: the highest was read last. */
  readonly connection?: { readonly name: string; readonly turn: number };
  /** Id of the last sealed gap: of the whole source under `*`, of a table under its OID. What was made of it is in the baselines' state. */
  readonly gaps?: Readonly<Record<string, string>>;
  /** Set by an `audit.stop` until the next configuration: whether slot and triggers were left in the database. */
  readonly ended?: 'Retained' | 'Removed';
  readonly counters: { readonly changes: number; readonly attributed: number; readonly gaps: number };
}

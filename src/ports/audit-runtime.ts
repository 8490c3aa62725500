// What the controllers of AuditLog and AuditPolicy keep running; the wiring in cli/ implements it with audit/ and the adapters.
import type { RowsealError } from '../model/errors.ts';
import type { CoverageLook, SlotRetention } from './audit-database.ts';
import type { AuditSettings } from './audit-settings.ts';
import type { Database } from './database.ts';
import type { LogWriter } from './log-writer.ts';

export type LogStorage =
  | { readonly kind: 'Filesystem'; readonly path: string }
  | {
      readonly kind: 'S3';
      readonly endpoint?: string;
      readonly region: string;
      readonly bucket: string;
      readonly prefix?: string;
      readonly forcePathStyle: boolean;
      readonly objectLock: 'Compliance' | 'Governance';
      /** The SDK's default chain where absent. */
      readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
    };

export interface LogSettings {
  readonly origin: string;
  readonly storage: LogStorage;
  readonly retention: { readonly days: number; readonly uncoveredDays: number };
  readonly sealing: { readonly maxDelayMs: number; readonly maxBytes: number };
  readonly publishing: { readonly maxDelayMs: number };
  /** C2SP note signing key; a secret. */
  readonly signerKey: string;
}

export interface LogKeeper {
  /** A new key pair whose name is the origin. */
  generateKeys(origin: string): { readonly signerKey: string; readonly verifierKey: string };
  /** The verifier key of a signing key; BadKey when it is none, or one of another origin. */
  verifierKeyOf(signerKey: string, origin: string): string;
  /** Probes the storage, recovers, and starts to seal and publish. */
  open(settings: LogSettings, signal: AbortSignal): Promise<LogWriter>;
}

/** Of the tables whose rows are sealed as they were when auditing began. */
export interface BaselineStatus {
  readonly tables: number;
  /** Those whose baseline is sealed, and for which no gap is left to be reconciled. */
  readonly complete: number;
  /** Rows sealed so far, those of reconciled gaps among them. */
  readonly rows: number;
  /** Why it does not go on; it is tried again. */
  readonly problem?: RowsealError;
}

export interface AuditStatus {
  readonly slot: string;
  /** Bytes of WAL between the server and what is sealed. */
  readonly lagBytes: number;
  readonly lagSeconds: number;
  /** `incarnation:LSN:seq` of the last sealed change. */
  readonly lastPosition: string;
  /** 0 to 100, of the row changes since the start; undefined before the first. */
  readonly attributedPercent?: number;
  readonly gaps: number;
  /** Row changes since the start whose actor is not known. */
  readonly unattributed: number;
  /** What the last look at the catalog found; undefined before the first. */
  readonly coverage?: Pick<CoverageLook, 'tables' | 'eventTriggers'>;
  /** Undefined when no baseline is declared. */
  readonly baseline?: BaselineStatus;
  /** Undefined when reads are not asked for, or no source of them is declared. */
  readonly reads?: { readonly problem?: RowsealError };
  /** What the server keeps for the slot; undefined while there is none. */
  readonly retention?: SlotRetention;
}

export interface RunningAudit {
  status(signal: AbortSignal): Promise<AuditStatus>;
  /** Makes the capture follow new settings from a point in the WAL on; nothing is written when they are in force already. */
  configure(settings: AuditSettings, signal: AbortSignal): Promise<void>;
  /** Rejects when the capture cannot go on by itself; the owner starts a new one, which resumes. */
  readonly failed: Promise<never>;
  /** Seals what was read, and stops. */
  stop(): Promise<void>;
}

export interface AuditEnd {
  readonly reason: 'PolicyDeleted' | 'GrantWithdrawn';
  /** What becomes of triggers, publication and slot. */
  readonly left: 'Retained' | 'Removed';
}

export interface AuditKeeper {
  /** Installs triggers, publication and slot, then captures until stopped. */
  start(database: Database, log: LogWriter, settings: AuditSettings, signal: AbortSignal): Promise<RunningAudit>;
  /** Seals once that nobody declares the audit any more; the capture must have stopped, and nothing be removed yet. */
  end(database: Database, log: LogWriter, how: AuditEnd, signal: AbortSignal): Promise<void>;
  /** Removes what `start` installed in the database. */
  remove(database: Database, log: LogWriter, signal: AbortSignal): Promise<void>;
}

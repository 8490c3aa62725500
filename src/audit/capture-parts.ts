// What the parts of a capture share: the transaction that is read, what is in force, and where entries go.
import type { HashKeys } from '../model/audited-columns.ts';
import type { Lsn } from '../model/branded.ts';
import type { MessageKey, StreamEvent } from '../ports/audit-database.ts';
import type { StatementStack } from './context.ts';
import { type EntryMembers, entryText, type EntryTransaction, type SourceName } from './entry-text.ts';
import type { PendingBatch } from './pending-batch.ts';
import type { CapturedTable, SourceProgress } from './source-progress.ts';
import type { StatementReader } from './statement-message.ts';

export interface CaptureParts {
  readonly name: SourceName;
  /** Address of this capture in our own messages. */
  readonly captureName: string;
  readonly key: MessageKey;
  readonly hashKeys: HashKeys;
  readonly pending: PendingBatch;
  readonly statements: StatementStack;
  readonly readStatement: StatementReader;
  readonly progress: SourceProgress;
  /** What a gap entry says of being reconciled: whether the log holds a baseline of the table. */
  readonly outlook: (table: CapturedTable | undefined) => Readonly<Record<string, unknown>>;
}

export interface Transaction extends EntryTransaction {
  /** Row changes so far, whatever their table. */
  seq: number;
  /** Row changes that are sealed already; Infinity when all of it is. */
  readonly sealed: number;
  lastMessage: Lsn;
  forgeries: number;
}

/** Where a message stands. */
export interface MessageAt {
  readonly lsn: Lsn;
  readonly transaction: Transaction;
}

export type EventOf<Type extends StreamEvent['type']> = Extract<StreamEvent, { type: Type }>;

/** What comes before the first unsealed row was sealed with the rows before it: parts end right after a row. */
export function isSealed({ seq, sealed }: Transaction): boolean {
  return seq < sealed;
}

/** Adds an entry of any type but the rows', which are many and have a way of their own. */
export function addEntry({ name, pending }: CaptureParts, members: EntryMembers, { lsn, transaction }: MessageAt): void {
  const { text, blobs } = entryText(members, { name, transaction, lsn, seq: transaction.seq });
  pending.add(text, blobs);
}

// Whether the server can still give us everything after what is sealed; if not, why (DESIGN §5, Resuming, Slots).
import { formatLsn, type Lsn } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import type { Lineage, SealedMarker, SourceState } from '../log/source-state.ts';
import type { MessageKey, SlotFacts, SourceFacts, StreamEvent } from '../ports/audit-database.ts';
import { divergence } from './lineage.ts';
import { messagePrefix, readMessage } from './message.ts';

/** Why changes that were not read are gone. */
export type GapReason = 'SlotMissing' | 'SlotForeign' | 'SlotUnusable' | 'ConfirmedBeyondSealed' | 'StreamRefused' | 'Removed' | 'OtherSystem' | 'OtherDatabase';
/** Why the server no longer has what was sealed. */
export type RewindReason = 'TimelineSwitched' | 'ServerBehindSealed' | 'MarkerNotFound';

export type Loss =
  | { readonly kind: 'gap'; readonly reason: GapReason }
  /** WAL before `survived` is common to the server and what is sealed; `keepSlot`: the slot still holds everything after it. */
  | { readonly kind: 'rewound'; readonly reason: RewindReason; readonly survived?: Lsn; readonly keepSlot: boolean };

export interface ResumeFacts {
  readonly slot: SlotFacts | undefined;
  readonly server: SourceFacts;
  readonly lineage: Lineage;
}

/** Undefined when the slot may be resumed. */
export function lossOf(state: SourceState, { slot, server, lineage }: ResumeFacts): Loss | undefined {
  const parted = state.lineage === undefined ? undefined : divergence(state.lineage, lineage);
  // A commit record that starts before the parting is in both histories.
  if (parted !== undefined && state.position.lsn >= parted) {
    return { kind: 'rewound', reason: 'TimelineSwitched', survived: parted, keepSlot: slotProblem(slot, parted) === undefined };
  }
  if (server.flushLsn < state.position.lsn) return { kind: 'rewound', reason: 'ServerBehindSealed', keepSlot: false };
  // Before the first marker nothing is ever confirmed, so the slot still stands where it was created.
  const reason = slotProblem(slot, state.marker?.commitLsn ?? state.position.lsn);
  if (reason === undefined) return undefined;
  // We took the slot away ourselves, when nobody wanted the audit.
  return { kind: 'gap', reason: reason === 'SlotMissing' && state.ended === 'Removed' ? 'Removed' : reason };
}

/** Whether the slot gives everything that commits from `from` on. */
export function slotProblem(slot: SlotFacts | undefined, from: Lsn): GapReason | undefined {
  if (slot === undefined) return 'SlotMissing';
  if (!slot.ours) return 'SlotForeign';
  if (!slot.usable || slot.confirmedFlushLsn === undefined) return 'SlotUnusable';
  return slot.confirmedFlushLsn > from ? 'ConfirmedBeyondSealed' : undefined;
}

export interface ResumeCheck {
  /** Throws SourceRewound when the first transaction is not the sealed marker's; false until that is proven. */
  see(event: StreamEvent): boolean;
}

/** The first transaction after resuming must be the sealed marker's own, identical in LSN, xid and nonce. */
export function createResumeCheck(marker: SealedMarker, key: MessageKey): ResumeCheck {
  let proven = false;
  let begun = false;
  return {
    see: (event) => {
      if (proven || event.type === 'other' || event.type === 'relation') return proven;
      if (event.type === 'begin') {
        if (begun || event.commitLsn !== marker.commitLsn || event.xid !== marker.xid) throw notFound(marker, event.commitLsn);
        begun = true;
      } else if (event.type === 'message' && begun && event.prefix === messagePrefix) {
        const read = readMessage(event.content, key, { xid: marker.xid, lsn: event.lsn, after: 0n as Lsn });
        proven = typeof read === 'object' && read.kind === 'marker' && read.nonce === marker.nonce;
      }
      if (!proven && (event.type === 'commit' || event.type === 'change')) throw notFound(marker, marker.commitLsn);
      return proven;
    },
  };
}

function notFound(marker: SealedMarker, at: Lsn): RowsealError {
  return new RowsealError('SourceRewound', `the server's history does not hold the sealed marker at ${formatLsn(marker.commitLsn)}; it sent a transaction at ${formatLsn(at)}`, {
    object: 'replication stream',
    next: 'a gap is sealed and capturing starts anew; find out whether the server was restored or failed over',
  });
}

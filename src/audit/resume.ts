// Whether the server can still give us everything after what is sealed; if not, why (DESIGN §5, Resuming, Slots).
import { formatLsn, type Lsn } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import type { SealedMarker, SourceState } from '../log/source-state.ts';
import type { MessageKey, SlotFacts, SourceFacts, StreamEvent } from '../ports/audit-database.ts';
import { messagePrefix, readMessage } from './message.ts';

export type GapReason = 'SlotMissing' | 'SlotUnusable' | 'ConfirmedBeyondSealed' | 'ServerBehindSealed' | 'MarkerNotFound' | 'StreamRefused';

/** Undefined when the slot may be resumed. */
export function resumeProblem(state: SourceState, slot: SlotFacts | undefined, facts: SourceFacts): GapReason | undefined {
  if (slot === undefined) return 'SlotMissing';
  if (!slot.usable || slot.confirmedFlushLsn === undefined) return 'SlotUnusable';
  // Before the first marker nothing is ever confirmed, so the slot still stands where it was created.
  if (slot.confirmedFlushLsn > (state.marker?.commitLsn ?? state.position.lsn)) return 'ConfirmedBeyondSealed';
  if (facts.flushLsn < state.position.lsn) return 'ServerBehindSealed';
  return undefined;
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

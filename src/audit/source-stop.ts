// The end of auditing: nobody declares it any more, and the log says so, once (DESIGN §7, audit.stop).
import { encodedEntries } from '../log/bundle.ts';
import { formatLsn } from '../model/branded.ts';
import type { Clock } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { canonical } from './actor.ts';
import { entryText } from './entry-text.ts';

export interface SourceEnd {
  readonly system: string;
  readonly database: string;
  readonly reason: 'PolicyDeleted' | 'GrantWithdrawn';
  /** Of triggers, publication and slot. */
  readonly left: 'Retained' | 'Removed';
}

/**
 * After the capture has stopped and before anything is removed. Entry and state are one batch: if we die before it, whoever ends
 * the audit again seals it then, and if we die after it, the state says that it is told already.
 */
export async function sealStop({ writer, clock }: { writer: LogWriter; clock: Clock }, { system, database, reason, left }: SourceEnd, signal: AbortSignal): Promise<void> {
  const sealed = writer.sourceState(`postgresql/${system}/${database}`);
  if (sealed === undefined || sealed.ended !== undefined) return;
  const { incarnation, lsn, seq } = sealed.position;
  const stop = canonical({ last: { incarnation, lsn: formatLsn(lsn), seq }, reason, slot: left, triggers: left });
  const { text } = entryText({ type: 'audit.stop', extra: { stop } }, {
    name: { system, database, timeline: sealed.lineage?.timeline ?? 1 },
    transaction: { incarnation, commitLsn: lsn, xid: 0, time: clock.now().toISOString() },
    lsn,
    seq,
  });
  await writer.append({ entries: encodedEntries([Buffer.from(text)]), state: { ...sealed, ended: left } }, signal);
}

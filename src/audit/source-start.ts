// Where a source goes on: at its sealed state, or, where the server lost what was not read, after a sealed gap.
import { encodedEntries, noEntries } from '../log/bundle.ts';
import { formatLsn } from '../model/branded.ts';
import type { SourceState } from '../log/source-state.ts';
import type { AuditDatabase, SourceFacts } from '../ports/audit-database.ts';
import type { Clock } from '../ports/clock.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { canonical, unattributed } from './actor.ts';
import { entryText } from './entry-text.ts';
import { type GapReason, resumeProblem } from './resume.ts';

export interface SourceParts {
  readonly database: AuditDatabase;
  readonly writer: LogWriter;
  readonly clock: Clock;
}

/** The sealed state to resume from, with a slot behind it. */
export async function startSource(parts: SourceParts, facts: SourceFacts, signal: AbortSignal): Promise<SourceState> {
  const source = `postgresql/${facts.systemIdentifier}/${facts.database}`;
  const sealed = parts.writer.sourceState(source);
  if (sealed === undefined) return firstStart(parts, source, signal);
  const problem = resumeProblem(sealed, await parts.database.slot(parts.writer.origin, signal), facts);
  return problem === undefined ? sealed : sealGap(parts, { sealed, facts, reason: problem }, signal);
}

/** If we die between slot and seal, nothing was promised, and the restart makes the slot anew. */
async function firstStart({ database, writer }: SourceParts, source: string, signal: AbortSignal): Promise<SourceState> {
  const lsn = await database.recreateSlot(writer.origin, signal);
  const state: SourceState = {
    source,
    // Not complete: a transaction whose commit record starts right here is still to come.
    position: { incarnation: 1, lsn, seq: 0, complete: false },
    relations: {},
    policies: {},
    configuration: null,
    counters: { changes: 0, attributed: 0, gaps: 0 },
  };
  await writer.append({ entries: noEntries, state }, signal);
  return state;
}

export interface GapCause {
  readonly sealed: SourceState;
  readonly facts: SourceFacts;
  readonly reason: GapReason;
}

/** If we die between slot and seal, the restart finds a slot beyond the sealed state and seals the gap to a newer one. */
export async function sealGap({ database, writer, clock }: SourceParts, { sealed, facts, reason }: GapCause, signal: AbortSignal): Promise<SourceState> {
  const lsn = await database.recreateSlot(writer.origin, signal);
  const incarnation = sealed.position.incarnation + 1;
  const { marker: _lost, ...kept } = sealed;
  const state: SourceState = {
    ...kept,
    position: { incarnation, lsn, seq: 0, complete: false },
    // Unknown until the configuration is in the WAL again: policies may have changed unseen.
    policies: {},
    counters: { ...sealed.counters, gaps: sealed.counters.gaps + 1 },
  };
  const gap = canonical({
    from: { incarnation: sealed.position.incarnation, lsn: formatLsn(sealed.position.lsn), seq: sealed.position.seq },
    id: `${sealed.source}#${incarnation}`,
    reason,
    reconcilable: false,
    scope: 'source',
    system: facts.systemIdentifier,
    timeline: facts.timeline,
    to: { incarnation, lsn: formatLsn(lsn) },
    why: 'no baseline was taken',
  });
  const { text } = entryText(
    { type: 'gap', actor: unattributed, extra: { gap } },
    {
      name: { system: facts.systemIdentifier, database: facts.database, timeline: facts.timeline },
      transaction: { incarnation, commitLsn: lsn, xid: 0, time: clock.now().toISOString() },
      lsn,
      seq: 0,
    },
  );
  await writer.append({ entries: encodedEntries([Buffer.from(text)]), state }, signal);
  return state;
}

// Sealing what was lost: one entry that says what and why, in the batch that opens the next incarnation (DESIGN §5, Slots).
import { encodedEntries } from '../log/bundle.ts';
import { formatLsn, type Lsn } from '../model/branded.ts';
import type { Lineage, SourceState } from '../log/source-state.ts';
import type { SlotFacts, SourceFacts } from '../ports/audit-database.ts';
import type { Clock } from '../ports/clock.ts';
import { canonical, unattributed } from './actor.ts';
import { baselineSource, capturedLeaves, gapOutlook, progressOf } from './baseline-progress.ts';
import { commonGround, type GroundParts } from './common-ground.ts';
import { entryText } from './entry-text.ts';
import { type GapReason, type Loss, type RewindReason, slotProblem } from './resume.ts';
import { sealedTransactions } from './sealed-history.ts';

export interface SourceParts extends GroundParts {
  readonly clock: Clock;
}

export interface SourceStart {
  readonly state: SourceState;
  /** Made just now: what was broken before it is part of a gap, or was never promised. */
  readonly newSlot: boolean;
}

/** What is known of the server when something is lost. */
export interface LossFacts {
  readonly server: SourceFacts;
  readonly lineage: Lineage;
  readonly slot: SlotFacts | undefined;
}

/**
 * Goes on in a new incarnation: from the parting of the histories where the slot survived with the server, else from a new slot.
 * If we die between slot and seal, the restart finds a slot beyond the sealed state and seals the gap to a newer one.
 */
export async function sealLoss(parts: SourceParts, { sealed, loss: seen, facts }: { sealed: SourceState; loss: Loss; facts: LossFacts }, signal: AbortSignal): Promise<SourceStart> {
  const loss = await located(parts, { sealed, loss: seen, facts }, signal);
  const kept = loss.kind === 'rewound' && loss.keepSlot ? loss.survived : undefined;
  const lacking = loss.kind === 'rewound' ? await lackingMembers(parts, { sealed, survived: loss.survived }, signal) : {};
  const to = kept ?? (await parts.database.recreateSlot(parts.writer.origin, signal));
  const incarnation = sealed.position.incarnation + 1;
  const { marker: _lost, ...rest } = sealed;
  const opened: SourceState = {
    ...rest,
    position: { incarnation, lsn: to, seq: 0, complete: false },
    // Unknown until the configuration is in the WAL again: policies may have changed unseen.
    policies: {},
    lineage: facts.lineage,
    // The gap covers everything before a new slot; of a history that ended nothing is proven.
    proven: formatLsn(to),
    counters: { ...sealed.counters, gaps: sealed.counters.gaps + 1 },
  };
  // A server that only went back counts, too: what was sealed as a baseline may never have happened on it.
  const state = { ...opened, gaps: { ...sealed.gaps, '*': gapId(opened) } };
  const outlook = gapOutlook(capturedLeaves(sealed), progressOf(parts.writer.sourceState(baselineSource(sealed.source))));
  const gap = { ...lossMembers({ sealed, facts, reason: loss.reason, missed: kept === undefined, state, outlook }), ...lacking };
  await sealGapEntry(parts, { type: loss.kind === 'rewound' ? 'gap.rewound' : 'gap', gap, state, server: facts.server }, signal);
  return { state, newSlot: kept === undefined };
}

/** Finds the parting by reading, where timelines did not say it and the slot is still there. */
async function located(parts: SourceParts, { sealed, loss, facts }: { sealed: SourceState; loss: Loss; facts: LossFacts }, signal: AbortSignal): Promise<Loss> {
  const confirmed = facts.slot?.confirmedFlushLsn;
  if (loss.kind === 'gap' || loss.survived !== undefined || confirmed === undefined || slotProblem(facts.slot, sealed.position.lsn) !== undefined) return loss;
  const survived = await commonGround(parts, { sealed, confirmed }, signal);
  return survived === undefined ? loss : { ...loss, survived, keepSlot: true };
}

/** Which sealed changes the server that goes on does not have: they stand in the log, and never happened there. */
async function lackingMembers({ writer }: SourceParts, { sealed, survived }: { sealed: SourceState; survived: Lsn | undefined }, signal: AbortSignal): Promise<Record<string, unknown>> {
  if (survived === undefined) return { lacking: null, survived: null };
  const lacking = { changes: 0, transactions: 0 };
  let leaves: { readonly first: number; readonly last: number } | undefined;
  for await (const { changes, firstLeaf, lastLeaf } of sealedTransactions(writer, { sealed, from: survived }, signal)) {
    lacking.changes += changes;
    lacking.transactions += 1;
    leaves = { first: leaves?.first ?? firstLeaf, last: lastLeaf };
  }
  return { lacking: writer.sealed === undefined ? null : { ...lacking, ...(leaves === undefined ? {} : { leaves }) }, survived: formatLsn(survived) };
}

/** A gap that needs no new slot: the state is its own incarnation's already. */
export async function sealTakeover(
  parts: SourceParts,
  { previous, state, facts, missed }: { previous: SourceState; state: SourceState; facts: LossFacts; missed: boolean },
  signal: AbortSignal,
): Promise<void> {
  const reason = takeoverReason(previous.source, state.source);
  const gap = { ...lossMembers({ sealed: previous, facts, reason, missed, state, outlook: { reconcilable: false, why: 'no baseline was taken' } }), previous: previous.source };
  await sealGapEntry(parts, { type: 'gap', gap, state, server: facts.server }, signal);
}

/** `postgresql/<system>/<database>`. */
function takeoverReason(before: string, after: string): 'OtherSystem' | 'OtherDatabase' {
  return before.split('/')[1] === after.split('/')[1] ? 'OtherDatabase' : 'OtherSystem';
}

interface LossSaid {
  /** What was sealed last before it. */
  readonly sealed: SourceState;
  readonly facts: LossFacts;
  readonly reason: GapReason | RewindReason;
  /** Whether there are changes that nothing will read any more. */
  readonly missed: boolean;
  /** That which goes on. */
  readonly state: SourceState;
  /** Whether what was missed can be found again. */
  readonly outlook: Readonly<Record<string, unknown>>;
}

function gapId({ source, position, connection }: SourceState): string {
  return `${source}#${position.incarnation}${connection === undefined ? '' : `.${connection.turn}`}`;
}

function lossMembers({ sealed, facts, reason, missed, state, outlook }: LossSaid): Record<string, unknown> {
  const { position, lineage } = sealed;
  return {
    from: { incarnation: position.incarnation, lsn: formatLsn(position.lsn), seq: position.seq, ...(lineage === undefined ? {} : { timeline: lineage.timeline }) },
    id: gapId(state),
    missed,
    reason,
    // Tables that were broken already are part of it: what of them was captured is proven up to here only.
    ...(missed && sealed.proven !== undefined ? { proven: sealed.proven } : {}),
    ...(missed ? outlook : {}),
    scope: 'source',
    ...(facts.slot === undefined ? {} : { slot: facts.slot.health }),
    system: facts.server.systemIdentifier,
    timeline: facts.lineage.timeline,
    to: { incarnation: state.position.incarnation, lsn: formatLsn(state.position.lsn) },
  };
}

interface GapEntry {
  readonly type: 'gap' | 'gap.rewound';
  readonly gap: Record<string, unknown>;
  readonly state: SourceState;
  readonly server: SourceFacts;
}

async function sealGapEntry({ writer, clock }: SourceParts, { type, gap, state, server }: GapEntry, signal: AbortSignal): Promise<void> {
  const { incarnation, lsn } = state.position;
  const { text } = entryText({ type, actor: unattributed, extra: { gap: canonical(gap) } }, {
    name: { system: server.systemIdentifier, database: server.database, timeline: server.timeline },
    transaction: { incarnation, commitLsn: lsn, xid: 0, time: clock.now().toISOString() },
    lsn,
    seq: 0,
  });
  await writer.append({ entries: encodedEntries([Buffer.from(text)]), state }, signal);
}

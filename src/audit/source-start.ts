// Where a source goes on: at its sealed state, or, where the server lost what was not read, after a sealed gap.
import { noEntries } from '../log/bundle.ts';
import type { SourceState } from '../log/source-state.ts';
import type { AuditSettings } from '../ports/audit-settings.ts';
import { provisionalConfiguration } from './captured-configuration.ts';
import { lossOf } from './resume.ts';
import { type LossFacts, sealLoss, sealTakeover, type SourceParts, type SourceStart } from './source-gap.ts';

/** The sealed state to resume from, with a slot behind it. The settings' `connection` names the declared database. */
export async function startSource(parts: SourceParts, settings: AuditSettings, signal: AbortSignal): Promise<SourceStart> {
  const { connection } = settings;
  const facts = await lossFacts(parts, signal);
  const source = `postgresql/${facts.server.systemIdentifier}/${facts.server.database}`;
  const previous = connection === undefined ? undefined : lastOf(connection, parts);
  const turn = previous === undefined ? 1 : previous.source === source ? (previous.connection?.turn ?? 1) : (previous.connection?.turn ?? 1) + 1;
  const read = connection === undefined ? {} : { connection: { name: connection, turn } };
  const replaced = previous !== undefined && previous.source !== source ? previous : undefined;
  const sealed = parts.writer.sourceState(source);
  if (sealed === undefined) return { state: await firstStart(parts, { source, read, replaced, facts, settings }, signal), newSlot: true };
  const loss = lossOf(sealed, facts);
  // The switch to a timeline that holds everything sealed is no loss; it is remembered with the next batch.
  const state = { ...sealed, ...read, lineage: facts.lineage };
  if (loss !== undefined) return sealLoss(parts, { sealed: { ...sealed, ...read }, loss, facts }, signal);
  if (replaced === undefined) return { state, newSlot: false };
  // Its slot kept everything while another one was read, but what was declared to be one database were two.
  const told = { ...state, counters: { ...state.counters, gaps: state.counters.gaps + 1 } };
  await sealTakeover(parts, { previous: replaced, state: told, facts, missed: false }, signal);
  return { state: told, newSlot: false };
}

export async function lossFacts({ database, writer }: SourceParts, signal: AbortSignal): Promise<LossFacts> {
  const server = await database.facts(signal);
  return { server, lineage: await database.lineage(signal), slot: await database.slot(writer.origin, signal) };
}

/** The source that was read last for a declared database. */
function lastOf(connection: string, { writer }: SourceParts): SourceState | undefined {
  const all = writer.sources().filter((state) => state.connection?.name === connection);
  return all.sort((a, b) => (a.connection?.turn ?? 0) - (b.connection?.turn ?? 0)).at(-1);
}

interface FirstStart {
  readonly source: string;
  readonly read: Pick<SourceState, 'connection'>;
  readonly replaced: SourceState | undefined;
  readonly facts: LossFacts;
  readonly settings: AuditSettings;
}

/** If we die between slot and seal, nothing was promised, and the restart makes the slot anew. */
async function firstStart(parts: SourceParts, { source, read, replaced, facts, settings }: FirstStart, signal: AbortSignal): Promise<SourceState> {
  const lsn = await parts.database.recreateSlot(parts.writer.origin, signal);
  const found = settings.tables.some((table) => table.baseline === true) ? (await parts.database.look(parts.writer.origin, settings, signal)).standing : undefined;
  const state: SourceState = {
    source,
    // Not complete: a transaction whose commit record starts right here is still to come.
    position: { incarnation: 1, lsn, seq: 0, complete: false },
    relations: {},
    policies: {},
    configuration: found === undefined ? null : provisionalConfiguration(found),
    lineage: facts.lineage,
    ...read,
    counters: { changes: 0, attributed: 0, gaps: replaced === undefined ? 0 : 1 },
  };
  if (replaced === undefined) await parts.writer.append({ entries: noEntries, state }, signal);
  else await sealTakeover(parts, { previous: replaced, state, facts, missed: true }, signal);
  return state;
}

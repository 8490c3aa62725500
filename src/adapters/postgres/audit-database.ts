// The audit half of a PostgreSQL database, on the operator's one session; only the stream has a connection of its own.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatLsn, parseLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { AuditDatabase, ChangeStream, MessageKey, SourceFacts } from '../../ports/audit-database.ts';
import type { Randomness } from '../../ports/clock.ts';
import type { ConnectionTarget, ServerFacts } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import { createCoverage } from './coverage.ts';
import { describeTarget, statementError } from './database-error.ts';
import type { Fence } from './fence.ts';
import { guardByFence } from './fence-audit.ts';
import { eventObjectsOf, installAudit, removeAudit } from './install-audit.ts';
import { nextProofStep, takeProofStep } from './message-proof.ts';
import { findColumns, findPartition } from './new-partition.ts';
import { createServerLog } from './server-log-files.ts';
import { createDecoder } from './pgoutput.ts';
import { quoteLiteral } from './quote.ts';
import { openStream } from './replication.ts';
import { readRetention } from './retention.ts';
import type { RunQuery, Session } from './session.ts';
import { dropSlot, readSlot } from './slot.ts';
import { createSnapshots } from './snapshots.ts';
import { readLineage } from './timelines.ts';

export interface AuditDatabaseParts {
  readonly session: Session;
  /** Nothing is installed, and nothing said of the capture, by somebody who was replaced. */
  readonly fence?: Fence;
  readonly facts: ServerFacts;
  readonly target: ConnectionTarget;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

/** Shorter than the server's deadlock_timeout of a second: we give up before a writer is made the victim, and hold up those behind us no longer. */
const lockTimeoutMs = 400;
const takeoverDeadlineMs = 20_000;
const takeoverPauseMs = 200;

export function createAuditDatabase(parts: AuditDatabaseParts): AuditDatabase {
  const { session, facts, target, randomness, logger } = parts;
  const fence = guardByFence(session, parts.fence);
  const { claims } = target;
  const nameOf = (origin: string) => captureName(facts, origin);
  const run = createTurns({ session, fence, object: describeTarget(target) });
  const coverage = createCoverage({ claims });
  const snapshots = createSnapshots({ target, versionNumber: facts.versionNumber, randomness, logger });

  return {
    captureName: nameOf,
    facts: (signal) => run('reading the WAL position', signal, (query) => readSource(query, facts)),
    lineage: (signal) => readLineage(target, signal),
    install: (origin, settings, signal) =>
      installAudit((action) => run('installing the capture', signal, action, true), { name: nameOf(origin), settings, claims, newKey: randomness.bytes(32) }),
    look: async (origin, settings, signal) => {
      const step = await run('looking at the proof of messages', signal, nextProofStep);
      if (step !== undefined) await run('changing the proof of messages', signal, (query) => takeProofStep(query, { step, claims, eventObjectsOf }), true);
      return run('looking at the capture', signal, (query) => coverage.look(query, nameOf(origin), settings));
    },
    reportEnvironment: (origin, extent, signal) => run('comparing roles and rights', signal, (query) => coverage.reportEnvironment(query, nameOf(origin), extent), true),
    remove: (origin, signal) =>
      run('removing the capture', signal, async (query) => removeAudit(query, nameOf(origin)), true).then(() =>
        // If we die in between, the slot is left, and removing again drops it.
        run('dropping the slot', signal, (query) => dropSlot(query, nameOf(origin))),
      ),
    messageKey: (signal) => run('reading the message key', signal, readKey),
    slot: (origin, signal) => run('reading the slot', signal, (query) => readSlot(query, nameOf(origin), facts.versionNumber)),
    retention: (origin, signal) => run('reading what is kept for the slot', signal, (query) => readRetention(query, nameOf(origin), facts.versionNumber)),
    recreateSlot: async (origin, signal) => {
      await run('dropping the slot', signal, (query) => dropSlot(query, nameOf(origin)));
      return snapshots.createSlot(nameOf(origin), signal);
    },
    openSnapshot: (origin, { atSlotStart }, signal) => snapshots.open(nameOf(origin), atSlotStart, signal),
    dropSnapshot: () => snapshots.drop(),
    emitConfiguration: (origin, settings, mended, signal) =>
      coverage.emitConfiguration((action) => run('writing the configuration into the WAL', signal, action, true), { name: nameOf(origin), settings, mended }),
    emitMarker: (origin, nonce, signal) => run('writing a marker into the WAL', signal, (query) => coverage.emitMarker(query, nameOf(origin), nonce)),
    serverLog: (settings) => createServerLog(settings, facts.database),
    decoder: createDecoder,
    partition: (made, signal) => findPartition((action) => run('looking a partition up', signal, action), made, signal),
    columns: (of, signal) => findColumns((action) => run('looking columns up', signal, action), of, signal),
    stream: (origin, from, signal) => {
      const name = nameOf(origin);
      logger.debug({ slot: name, from: formatLsn(from) }, 'starting to stream');
      return takeOver(() => openStream({ target, name, from }, signal), signal);
    },
  };
}

type Turn = <T>(doing: string, signal: AbortSignal, action: (query: RunQuery) => Promise<T>, transaction?: boolean) => Promise<T>;

/** Each runs alone on the session; errors say what was being done. Whoever was fenced off has nothing left to do with it. */
function createTurns({ session, fence, object }: { session: Session; fence: ReturnType<typeof guardByFence>; object: string }): Turn {
  return async (doing, signal, action, transaction = false) => {
    try {
      if (!transaction) return await session.exclusively(action, signal);
      await fence.ensure(signal);
      return await session.transaction(async (query) => {
        await fence.require(query);
        await query(`set local lock_timeout = ${quoteLiteral(`${lockTimeoutMs}ms`)}`);
        return action(query);
      }, signal);
    } catch (error) {
      if (error instanceof RowsealError && error.code === 'Fenced') await fence.giveUp();
      signal.throwIfAborted();
      throw statementError(error, doing, object);
    }
  };
}

/** Slot and publication share one name: at most 63 bytes, the same after every restart. */
function captureName(facts: ServerFacts, origin: string): string {
  const hash = createHash('sha256').update(JSON.stringify([facts.systemIdentifier, facts.database, origin])).digest('hex');
  return `rowseal_${hash.slice(0, 20)}`;
}

async function readSource(query: RunQuery, facts: ServerFacts): Promise<SourceFacts> {
  const [row] = await query<{ flush: string; file: string }>(
    'select pg_current_wal_flush_lsn()::text as flush, pg_walfile_name(pg_current_wal_flush_lsn()) as file',
  );
  if (row === undefined) throw new RowsealError('DatabaseStatement', 'the server has no WAL position', { retryable: true });
  return { systemIdentifier: facts.systemIdentifier, database: facts.database, timeline: Number.parseInt(row.file.slice(0, 8), 16), flushLsn: parseLsn(row.flush) };
}

async function readKey(query: RunQuery): Promise<MessageKey> {
  const [row] = await query<{ inner: Buffer; outer: Buffer }>('select inner_pad as inner, outer_pad as outer from rowseal.audit_key');
  if (row === undefined) throw new RowsealError('DatabaseObjectMissing', 'the key of the audit messages is gone', { next: 'install the capture again', retryable: true });
  return row;
}

/** After a kill the server may take a moment to notice that the earlier walsender is dead. */
async function takeOver(open: () => Promise<ChangeStream>, signal: AbortSignal): Promise<ChangeStream> {
  const deadline = performance.now() + takeoverDeadlineMs;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof RowsealError) || error.code !== 'DatabaseConflict' || performance.now() > deadline) throw error;
      await sleep(takeoverPauseMs, undefined, { signal });
    }
  }
}

// Our own walsender client: `pg` logs in, we start the stream, answer keepalives, and confirm only what is sealed.
import { formatLsn, type Lsn, zeroLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { ChangeStream } from '../../ports/audit-database.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, wireOf } from './connection.ts';
import { describeTarget, errorCodeOf, statementError } from './database-error.ts';
import { untilAborted } from './mutex.ts';
import { quoteLiteral, quoteName } from './quote.ts';
import { readStream, type StreamReader, type StreamSocket } from './stream-reader.ts';
import { prepareStream } from './stream-session.ts';

export interface StreamRequest {
  readonly target: ConnectionTarget;
  /** Of the slot and of the publication. */
  readonly name: string;
  readonly from: Lsn;
}

interface ReplicationWire {
  readonly stream: StreamSocket & { destroy(error?: Error): void };
  query(text: string): void;
  sendCopyFromChunk(chunk: Uint8Array): void;
}

const statusEveryMs = 10_000;
/** With a reply asked for every ten seconds, this silence means a dead server or network. */
const silenceDeadlineMs = 60_000;
const startDeadlineMs = 30_000;
const postgresEpochMs = 946_684_800_000;

/** Starts to stream. Throws SlotLost, DatabaseConflict (somebody else streams), and what connecting throws. */
export async function openStream(request: StreamRequest, signal: AbortSignal): Promise<ChangeStream> {
  const client = await connectClient(request.target, { replication: 'database', purpose: 'audit' }, signal);
  try {
    await untilAborted(prepareStream(client), AbortSignal.any([signal, AbortSignal.timeout(startDeadlineMs)]));
  } catch (error) {
    wireOf(client).stream.destroy();
    signal.throwIfAborted();
    throw streamError(error, request);
  }
  const wire = wireOf(client) as unknown as ReplicationWire & NodeJS.EventEmitter;
  const progress = { confirmed: zeroLsn };
  const ending = Promise.withResolvers<never>();
  ending.promise.catch(() => undefined);
  const started = Promise.withResolvers<void>();
  const reader = readStream(wire.stream, {
    started: started.resolve,
    replyWanted: () => sendStatus(wire, progress.confirmed, false),
    ended: (reason) => {
      ending.reject(reason);
      return streamError(reason, request);
    },
  });
  wire.once('end', () => ending.reject(new Error('the connection ended')));
  client.on('error', ending.reject);
  try {
    wire.query(startCommand(request));
    await untilAborted(Promise.race([started.promise, ending.promise]), AbortSignal.any([signal, AbortSignal.timeout(startDeadlineMs)]));
  } catch (error) {
    reader.finish(undefined);
    wire.stream.destroy();
    signal.throwIfAborted();
    throw streamError(error, request);
  }
  const stop = endings({ wire, reader, request, signal });
  ending.promise.catch(stop);
  const timer = setInterval(() => {
    if (!reader.held() && performance.now() - reader.heardAtMs() > silenceDeadlineMs) stop(new Error('the walsender fell silent'));
    else sendStatus(wire, progress.confirmed, true);
  }, statusEveryMs);
  timer.unref();
  client.once('end', () => clearInterval(timer));
  return {
    frames: reader.frames,
    serverLsn: reader.serverLsn,
    confirm: (upTo) => {
      if (upTo <= progress.confirmed) return;
      progress.confirmed = upTo;
      sendStatus(wire, upTo, false);
    },
    close: async () => {
      clearInterval(timer);
      // Left idle, the server would keep the slot taken until it notices.
      stop(undefined);
    },
  };
}

function startCommand({ name, from }: StreamRequest): string {
  const options = `proto_version '1', publication_names ${quoteLiteral(quoteName(name))}, messages 'true'`;
  return `START_REPLICATION SLOT ${quoteName(name)} LOGICAL ${formatLsn(from)} (${options})`;
}

interface Ending {
  readonly wire: ReplicationWire & NodeJS.EventEmitter;
  readonly reader: StreamReader;
  readonly request: StreamRequest;
  readonly signal: AbortSignal;
}

/** Whatever ends the connection ends the frames, with the first reason that was given. */
function endings({ wire, reader, request, signal }: Ending): (reason: unknown) => void {
  const stop = (reason: unknown): void => {
    signal.removeEventListener('abort', abort);
    reader.finish(reason === undefined ? undefined : streamError(reason, request));
    wire.stream.destroy();
  };
  const abort = (): void => stop(undefined);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return stop;
}

/** Standby status update: written, flushed and applied are all what is sealed, since nothing else may be forgotten. */
function sendStatus(wire: ReplicationWire, confirmed: Lsn, replyWanted: boolean): void {
  const status = Buffer.alloc(34);
  status.writeUInt8(0x72, 0);
  for (const offset of [1, 9, 17]) status.writeBigUInt64BE(confirmed, offset);
  status.writeBigInt64BE(BigInt(Date.now() - postgresEpochMs) * 1000n, 25);
  status.writeUInt8(replyWanted ? 1 : 0, 33);
  wire.sendCopyFromChunk(status);
}

/** SlotLost where the server says that slot, WAL or publication are gone; everything else as for statements. */
function streamError(error: unknown, request: StreamRequest): RowsealError {
  if (error instanceof RowsealError) return error;
  const code = errorCodeOf(error);
  const object = `slot ${request.name} in ${describeTarget(request.target)}`;
  if (code === '55006') {
    return new RowsealError('DatabaseConflict', 'another process streams from the slot', { object, next: 'stop it; this one goes on by itself', retryable: true, cause: error });
  }
  if (code === '42704' || code === '55000' || code === '58P01') {
    const message = error instanceof Error ? error.message : 'unknown';
    return new RowsealError('SlotLost', `the server no longer has what was not read: ${message}`, { object, next: 'a gap is sealed and capturing starts anew', cause: error });
  }
  return statementError(error, 'streaming changes', object);
}

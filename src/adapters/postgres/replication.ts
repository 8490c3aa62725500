// Our own walsender client: `pg` logs in and frames, we start the stream, answer keepalives, and confirm only what is sealed.
import type pg from 'pg';
import { formatLsn, type Lsn, lsn, zeroLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { ChangeStream } from '../../ports/audit-database.ts';
import type { ConnectionTarget } from '../../ports/database.ts';
import { connectClient, wireOf } from './connection.ts';
import { describeTarget, errorCodeOf, statementError } from './database-error.ts';
import { createFrameQueue, type FrameQueue } from './frame-queue.ts';
import { untilAborted } from './mutex.ts';
import { quoteLiteral, quoteName } from './quote.ts';
import { prepareStream } from './stream-session.ts';

export interface StreamRequest {
  readonly target: ConnectionTarget;
  /** Of the slot and of the publication. */
  readonly name: string;
  readonly from: Lsn;
}

interface ReplicationWire {
  readonly stream: { pause(): unknown; resume(): unknown; destroy(error?: Error): void };
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
  const queue = createFrameQueue(wire.stream);
  const progress = { confirmed: zeroLsn, server: zeroLsn, heardAtMs: performance.now() };
  // `pg`'s own listeners know no CopyBoth; ours stand before the start, since frames may follow in the same chunk.
  for (const event of ['copyData', 'errorMessage', 'commandComplete', 'readyForQuery']) wire.removeAllListeners(event);
  receive(wire, queue, progress);
  try {
    await untilAborted(start(wire, request), AbortSignal.any([signal, AbortSignal.timeout(startDeadlineMs)]));
  } catch (error) {
    wire.stream.destroy();
    signal.throwIfAborted();
    throw streamError(error, request);
  }
  const stop = endings(client, { wire, queue, request, signal });
  const timer = setInterval(() => {
    if (!queue.paused() && performance.now() - progress.heardAtMs > silenceDeadlineMs) stop(new Error('the walsender fell silent'));
    else sendStatus(wire, progress.confirmed, true);
  }, statusEveryMs);
  timer.unref();
  client.once('end', () => clearInterval(timer));
  return {
    frames: queue.frames,
    serverLsn: () => progress.server,
    confirm: (upTo) => {
      if (upTo <= progress.confirmed) return;
      progress.confirmed = upTo;
      sendStatus(wire, upTo, false);
    },
    close: async () => {
      clearInterval(timer);
      stop(undefined);
      // Left idle, the server would keep the slot taken until it notices.
      wire.stream.destroy();
    },
  };
}

/** Resolves when the server has switched to CopyBoth. */
async function start(wire: ReplicationWire & NodeJS.EventEmitter, request: StreamRequest): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    wire.once('replicationStart', () => resolve());
    wire.once('errorMessage', reject);
    wire.once('end', () => reject(new Error('the connection ended')));
    const options = `proto_version '1', publication_names ${quoteLiteral(quoteName(request.name))}, messages 'true'`;
    wire.query(`START_REPLICATION SLOT ${quoteName(request.name)} LOGICAL ${formatLsn(request.from)} (${options})`);
  });
}

function receive(wire: ReplicationWire & NodeJS.EventEmitter, queue: FrameQueue, progress: { confirmed: Lsn; server: Lsn; heardAtMs: number }): void {
  wire.on('copyData', ({ chunk }: { readonly chunk: Buffer }) => {
    progress.heardAtMs = performance.now();
    const kind = chunk[0];
    if (kind === 0x77 && chunk.length >= 25) {
      // The parser reuses its buffer, so what is queued is a copy.
      queue.push({ walStart: lsn(chunk.readBigUInt64BE(1)), data: Buffer.from(chunk.subarray(25)) });
    } else if (kind === 0x6b && chunk.length >= 18) {
      progress.server = lsn(chunk.readBigUInt64BE(1));
      if (chunk[17] === 1) sendStatus(wire, progress.confirmed, false);
    } else {
      queue.finish(new RowsealError('BadLogData', 'malformed replication message: neither data nor keepalive', { object: 'replication stream' }));
    }
  });
}

interface Ending {
  readonly wire: ReplicationWire & NodeJS.EventEmitter;
  readonly queue: FrameQueue;
  readonly request: StreamRequest;
  readonly signal: AbortSignal;
}

/** Whatever ends the connection ends the frames, with the first reason that was given. */
function endings(client: pg.Client, { wire, queue, request, signal }: Ending): (reason: Error | undefined) => void {
  const stop = (reason: Error | undefined): void => {
    queue.finish(reason === undefined ? undefined : streamError(reason, request));
    wire.stream.destroy();
  };
  const abort = () => stop(undefined);
  signal.addEventListener('abort', abort, { once: true });
  wire.on('errorMessage', stop);
  wire.on('commandComplete', () => stop(new Error('the walsender ended the stream')));
  wire.once('end', () => {
    signal.removeEventListener('abort', abort);
    queue.finish(streamError(new Error('the connection ended'), request));
  });
  client.on('error', stop);
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

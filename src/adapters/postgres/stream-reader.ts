// From the walsender's socket to frames: cut here rather than in `pg`, which copies and emits each, and read in gulps.
import { type Lsn, lsn, zeroLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { StreamFrame } from '../../ports/audit-database.ts';
import { createMessageCutter } from './backend-messages.ts';
import { createFrameQueue, type FrameQueue } from './frame-queue.ts';

export interface StreamSocket {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  removeAllListeners(event: 'data'): unknown;
  pause(): unknown;
  resume(): unknown;
}

export interface StreamReader {
  readonly queue: FrameQueue;
  /** When the server last sent anything, as `performance.now()`. */
  readonly heardAtMs: () => number;
  /** End of the WAL that it has decoded. */
  readonly serverLsn: () => Lsn;
  close(): void;
}

export interface StreamListeners {
  /** CopyBoth has begun. */
  readonly started: () => void;
  readonly replyWanted: () => void;
  /** The server ended the stream, or sent what is no replication message. */
  readonly ended: (reason: Error) => void;
}

/**
 * The walsender sends every message by itself. Reading each at once would cost a turn of the event loop a row; after this
 * pause many have come. It is the price of every change's latency.
 */
const gulpMs = 2;
/** With so much in one turn there is nothing to wait for. */
const largeGulpBytes = 32 * 1024;

const types = { started: 0x57, data: 0x64, copyDone: 0x63, complete: 0x43, error: 0x45 } as const;
const xLogData = 0x77;
const keepalive = 0x6b;
const dataHeaderBytes = 25;
const keepaliveBytes = 18;

/** Takes the socket over, between two messages: nothing else may read from it any more. */
export function readStream(socket: StreamSocket, listeners: StreamListeners): StreamReader {
  const heard = { atMs: performance.now(), serverLsn: zeroLsn };
  let timer: NodeJS.Timeout | undefined;
  let looking: NodeJS.Immediate | undefined;
  let gulpBytes = 0;
  let frames: StreamFrame[] = [];
  const queue = createFrameQueue(() => {
    if (timer === undefined) socket.resume();
  });
  /** After everything that this turn of the event loop brought; behind TLS that is many small chunks. */
  const breathe = (): void => {
    looking = undefined;
    const enough = gulpBytes >= largeGulpBytes;
    gulpBytes = 0;
    if (enough || queue.full()) return;
    socket.pause();
    timer = setTimeout(() => {
      timer = undefined;
      if (!queue.full()) socket.resume();
    }, gulpMs);
  };
  const copyData = (body: Buffer): void => {
    if (body[0] === xLogData && body.length >= dataHeaderBytes) frames.push({ walStart: body.readBigUInt64BE(1) as Lsn, data: body.subarray(dataHeaderBytes) });
    else if (body[0] === keepalive && body.length >= keepaliveBytes) {
      heard.serverLsn = lsn(body.readBigUInt64BE(1));
      if (body[17] === 1) listeners.replyWanted();
    } else listeners.ended(new RowsealError('BadLogData', 'malformed replication message: neither data nor keepalive', { object: 'replication stream' }));
  };
  const cut = createMessageCutter((type, body) => {
    if (type === types.data) copyData(body);
    else if (type === types.started) listeners.started();
    else if (type === types.error) listeners.ended(serverError(body));
    else if (type === types.copyDone || type === types.complete) listeners.ended(new Error('the walsender ended the stream'));
  });
  const close = (): void => {
    clearTimeout(timer);
    clearImmediate(looking);
  };
  socket.removeAllListeners('data');
  socket.on('data', (chunk) => {
    heard.atMs = performance.now();
    try {
      cut(chunk);
    } catch (error) {
      listeners.ended(error instanceof Error ? error : new Error('unreadable'));
    }
    if (frames.length > 0) queue.push(frames, chunk.length);
    frames = [];
    if (queue.full()) socket.pause();
    gulpBytes += chunk.length;
    if (timer === undefined) looking ??= setImmediate(breathe);
  });
  return { queue, heardAtMs: () => heard.atMs, serverLsn: () => heard.serverLsn, close };
}

/** ErrorResponse: one letter and a NUL-terminated text a field. `code` is where `pg` has it, too. */
function serverError(body: Buffer): Error {
  const fields = new Map<string, string>();
  for (const field of body.toString('utf8').split('\0')) fields.set(field.slice(0, 1), field.slice(1));
  return Object.assign(new Error(fields.get('M') ?? 'the server refused'), { code: fields.get('C') ?? '' });
}

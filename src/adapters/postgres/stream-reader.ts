// From the walsender's socket to frames: cut here rather than in `pg`, which copies and emits each, and read in gulps.
import { type Lsn, lsn, zeroLsn } from '../../model/branded.ts';
import { RowsealError } from '../../model/errors.ts';
import type { StreamFrame } from '../../ports/audit-database.ts';
import { createMessageCutter } from './backend-messages.ts';
import { createChunkQueue } from './chunk-queue.ts';

export interface StreamSocket {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  removeAllListeners(event: 'data'): unknown;
  pause(): unknown;
  resume(): unknown;
}

export interface StreamReader {
  /** Those of a chunk at once; cut only when they are asked for, so that what waits is bytes and no objects. */
  readonly frames: AsyncIterable<readonly StreamFrame[]>;
  /** Ends the frames with this error once what was received is read; undefined ends them quietly. */
  finish(error: Error | undefined): void;
  /** While the consumer is so far behind that nothing is received. */
  readonly held: () => boolean;
  /** When the server last sent anything, as `performance.now()`. */
  readonly heardAtMs: () => number;
  /** End of the WAL that it had decoded when it sent what was read last. */
  readonly serverLsn: () => Lsn;
}

export interface StreamListeners {
  /** CopyBoth has begun. */
  readonly started: () => void;
  readonly replyWanted: () => void;
  /** The server ended the stream, or sent what is no replication message: the frames end with what this returns. */
  readonly ended: (reason: Error) => Error;
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
  const known = { heardAtMs: performance.now(), serverLsn: zeroLsn, started: false };
  let frames: StreamFrame[] = [];
  let failure: Error | undefined;
  const fail = (reason: Error): void => void (failure ??= listeners.ended(reason));
  const copyData = (body: Buffer): void => {
    if (body[0] === xLogData && body.length >= dataHeaderBytes) frames.push({ walStart: body.readBigUInt64BE(1) as Lsn, data: body.subarray(dataHeaderBytes) });
    else if (body[0] === keepalive && body.length >= keepaliveBytes) {
      known.serverLsn = lsn(body.readBigUInt64BE(1));
      if (body[17] === 1) listeners.replyWanted();
    } else fail(new RowsealError('BadLogData', 'malformed replication message: neither data nor keepalive', { object: 'replication stream' }));
  };
  const cut = createMessageCutter((type, body) => {
    if (type === types.data) copyData(body);
    else if (type === types.started) {
      known.started = true;
      listeners.started();
    } else if (type === types.error) fail(serverError(body));
    else if (type === types.copyDone || type === types.complete) fail(new Error('the walsender ended the stream'));
  });
  const framesOf = (chunk: Buffer): readonly StreamFrame[] => {
    try {
      cut(chunk);
    } catch (error) {
      fail(error instanceof Error ? error : new Error('unreadable'));
    }
    const cutNow = frames;
    frames = [];
    return cutNow;
  };
  const gulps = createGulps(socket);
  const queue = createChunkQueue(() => gulps.resume());
  socket.removeAllListeners('data');
  socket.on('data', (chunk) => {
    known.heardAtMs = performance.now();
    if (known.started) {
      queue.push(chunk);
      gulps.received(chunk.length, queue.full());
    } else {
      frames = [...framesOf(chunk)];
      // What came with the start in one chunk is taken by whoever asks first.
      if (frames.length > 0) queue.push(Buffer.alloc(0));
    }
  });
  async function* iterate(): AsyncGenerator<readonly StreamFrame[]> {
    for await (const chunk of queue.chunks) {
      const cutNow = framesOf(chunk);
      if (cutNow.length > 0) yield cutNow;
      // Said by the server itself: better than whatever the connection's end said meanwhile.
      if (failure !== undefined) throw failure;
    }
  }
  const finish = (error: Error | undefined): void => {
    gulps.close();
    queue.finish(error);
  };
  return { frames: { [Symbol.asyncIterator]: iterate }, finish, held: queue.full, heardAtMs: () => known.heardAtMs, serverLsn: () => known.serverLsn };
}

interface Gulps {
  /** After each chunk; `full` says that no more is wanted until `resume`. */
  received(bytes: number, full: boolean): void;
  resume(): void;
  close(): void;
}

function createGulps(socket: StreamSocket): Gulps {
  let timer: NodeJS.Timeout | undefined;
  let looking: NodeJS.Immediate | undefined;
  let bytes = 0;
  let held = false;
  const breathe = (): void => {
    looking = undefined;
    const enough = bytes >= largeGulpBytes;
    bytes = 0;
    if (enough || held) return;
    socket.pause();
    timer = setTimeout(() => {
      timer = undefined;
      if (!held) socket.resume();
    }, gulpMs);
  };
  return {
    received: (size, full) => {
      held = full;
      if (held) socket.pause();
      bytes += size;
      // After everything that this turn of the event loop brings: behind TLS that is many small chunks.
      if (timer === undefined) looking ??= setImmediate(breathe);
    },
    resume: () => {
      held = false;
      if (timer === undefined) socket.resume();
    },
    close: () => {
      clearTimeout(timer);
      clearImmediate(looking);
    },
  };
}

/** ErrorResponse: one letter and a NUL-terminated text a field. `code` is where `pg` has it, too. */
function serverError(body: Buffer): Error {
  const fields = new Map<string, string>();
  for (const field of body.toString('utf8').split('\0')) fields.set(field.slice(0, 1), field.slice(1));
  return Object.assign(new Error(fields.get('M') ?? 'the server refused'), { code: fields.get('C') ?? '' });
}

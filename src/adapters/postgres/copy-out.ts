// COPY … TO STDOUT as chunks of rows that the reader asks for: `pg` has no such thing, and a cursor's fetches are bounded in rows, not bytes.
import type pg from 'pg';
import { wireOf } from './connection.ts';

/** Queued beyond this, the socket rests, and with it the server. */
const maxQueuedBytes = 1024 * 1024;

interface PausableStream {
  pause(): unknown;
  resume(): unknown;
}

/** Each row with its line end, as the server wrote it. Leaving the loop early ends the connection. */
export async function* copyOut(client: pg.Client, text: string, signal: AbortSignal): AsyncGenerator<readonly Buffer[]> {
  const stream = wireOf(client).stream as unknown as PausableStream & { destroy(error?: Error): void };
  const queue = new RowQueue(stream);
  const abort = () => stream.destroy(new Error('reading was given up'));
  signal.addEventListener('abort', abort, { once: true });
  let whole = false;
  try {
    signal.throwIfAborted();
    client.query(submittable(text, queue));
    for (;;) {
      const rows = await queue.take();
      signal.throwIfAborted();
      if (rows === undefined) break;
      yield rows;
    }
    whole = true;
  } finally {
    signal.removeEventListener('abort', abort);
    // After an error of the server the session is still in order; after anything else rows of this COPY would follow.
    if (!whole && !queue.ended) stream.destroy();
  }
}

class RowQueue {
  readonly #stream: PausableStream;
  #rows: Buffer[] = [];
  #bytes = 0;
  #end: { readonly error?: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(stream: PausableStream) {
    this.#stream = stream;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  push(row: Buffer): void {
    this.#rows.push(row);
    this.#bytes += row.length;
    if (this.#bytes > maxQueuedBytes) this.#stream.pause();
    this.#wake();
  }

  finish(end: { readonly error?: unknown }): void {
    this.#end ??= end;
    this.#stream.resume();
    this.#wake();
  }

  /** Undefined at the end. */
  async take(): Promise<readonly Buffer[] | undefined> {
    while (this.#rows.length === 0) {
      if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return undefined;
      }
      this.#stream.resume();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    return rows;
  }
}

/** What `pg` asks of a query object; it is handed the messages up to ReadyForQuery, or an error as the last one. */
function submittable(text: string, queue: RowQueue): pg.Submittable {
  const nothing = (): void => undefined;
  const handlers = {
    submit: (connection: { query(text: string): void }) => connection.query(text),
    // The parser reuses its buffer, so what is queued is a copy.
    handleCopyData: ({ chunk }: { readonly chunk: Buffer }) => queue.push(Buffer.from(chunk)),
    handleError: (error: unknown) => queue.finish({ error }),
    handleReadyForQuery: () => queue.finish({}),
    handleRowDescription: nothing,
    handleDataRow: nothing,
    handleCommandComplete: nothing,
    handlePortalSuspended: nothing,
    handleEmptyQuery: nothing,
    handleCopyInResponse: nothing,
  };
  return handlers;
}

// One watch: a stream of events until the server ends it, the line falls silent, or the signal is aborted.
import { request } from 'undici';
import { type ApiCall, apiError } from './api-error.ts';
import { parseRetryAfterMs } from './backoff.ts';
import type { Client } from './client.ts';

export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

export interface WatchRequest extends ApiCall {
  readonly path: string;
  readonly fieldSelector: string | undefined;
  readonly resourceVersion: string;
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

/** One event is one line; a longer line is no event of ours. */
const maxLineBytes = 16 * 1024 * 1024;

/** The watch was refused; `statusCode` 410 asks for a new list. */
export class WatchRefused extends Error {
  readonly statusCode: number;
  readonly retryAfterMs: number | undefined;

  constructor(call: ApiCall, statusCode: number, answer: { readonly body: unknown; readonly retryAfterMs: number | undefined }) {
    const cause = apiError(call, statusCode, answer.body);
    super(cause.message, { cause });
    this.statusCode = statusCode;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/** Ends normally when the server closes the stream between two events; throws when it is cut inside of one or falls silent. */
export async function* watchEvents(client: Client, wanted: WatchRequest): AsyncGenerator<WatchEvent> {
  const { headers, watches } = await client.connection.access();
  const query = {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: wanted.resourceVersion,
    timeoutSeconds: String(wanted.timeoutSeconds),
    fieldSelector: wanted.fieldSelector,
  };
  const answer = await request(client.url(wanted.path, query), { dispatcher: watches, headers: { ...headers, accept: 'application/json' }, signal: wanted.signal });
  if (answer.statusCode !== 200) {
    if (answer.statusCode === 401) client.connection.forgetAccess();
    const body: unknown = await answer.body.json().catch(() => undefined);
    throw new WatchRefused(wanted, answer.statusCode, { body, retryAfterMs: parseRetryAfterMs(answer.headers['retry-after'], Date.now()) });
  }
  for await (const line of lines(answer.body)) yield parseEvent(line);
}

async function* lines(body: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, end)]).toString('utf8');
      parts = [];
      size = 0;
      from = end + 1;
      if (line.trim() !== '') yield line;
    }
    parts.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > maxLineBytes) throw new Error('an event of the watch is too long');
  }
  if (Buffer.concat(parts).toString('utf8').trim() !== '') throw new Error('the watch was cut inside an event');
}

function parseEvent(line: string): WatchEvent {
  const event: unknown = JSON.parse(line);
  if (typeof event === 'object' && event !== null && 'type' in event && typeof event.type === 'string' && 'object' in event) {
    return { type: event.type, object: event.object };
  }
  throw new Error('the watch sent something that is no event');
}

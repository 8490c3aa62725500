// Single requests to the API server: JSON in and out, with deadlines, and patience where the server asks for it.
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { type ApiCall, apiError, unreachable } from './api-error.ts';
import { backoffMs, parseRetryAfterMs } from './backoff.ts';
import type { Connection } from './connection.ts';

export interface ApiRequest extends ApiCall {
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly method?: 'GET' | 'POST' | 'PATCH';
  readonly contentType?: string;
  readonly body?: unknown;
  readonly signal: AbortSignal;
}

export interface ApiAnswer {
  readonly statusCode: number;
  readonly body: unknown;
}

const attemptDeadlineMs = 30_000;
const maxAttempts = 5;
export const applyPatch = 'application/apply-patch+yaml';
export const mergePatch = 'application/merge-patch+json';
/** Under which name managedFields show what we own. */
export const fieldManager = 'rowseal';

export class Client {
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The body of a success. Throws what `apiError` makes of anything else. */
  async call(wanted: ApiRequest): Promise<unknown> {
    const { statusCode, body } = await this.send(wanted);
    if (statusCode >= 200 && statusCode < 300) return body;
    throw apiError(wanted, statusCode, body);
  }

  /**
   * The answer, whatever its status, except that 429 and 503 are waited out and a 401 is tried once with fresh credentials.
   * Throws ClusterUnreachable when no answer comes. A lost answer is asked for again only where asking twice is the same as once.
   */
  async send(wanted: ApiRequest): Promise<ApiAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      const last = attempt + 1 >= maxAttempts;
      let retryAfterMs: number | undefined;
      try {
        const answer = await this.#attempt(wanted);
        if (answer.statusCode === 401 && attempt === 0) this.connection.forgetAccess();
        else if ((answer.statusCode !== 429 && answer.statusCode !== 503) || last) return answer;
        retryAfterMs = answer.retryAfterMs;
      } catch (error) {
        wanted.signal.throwIfAborted();
        if (last || wanted.method === 'POST') throw unreachable(wanted, this.connection.server, error);
      }
      await sleep(backoffMs(attempt, retryAfterMs), undefined, { signal: wanted.signal });
    }
  }

  async #attempt(wanted: ApiRequest): Promise<ApiAnswer & { readonly retryAfterMs: number | undefined }> {
    const { headers, requests } = await this.connection.access();
    const { statusCode, headers: answered, body } = await request(this.url(wanted.path, wanted.query), {
      dispatcher: requests,
      method: wanted.method ?? 'GET',
      headers: {
        ...headers,
        accept: 'application/json',
        'user-agent': fieldManager,
        ...(wanted.body === undefined ? {} : { 'content-type': wanted.contentType ?? 'application/json' }),
      },
      ...(wanted.body === undefined ? {} : { body: JSON.stringify(wanted.body) }),
      signal: AbortSignal.any([wanted.signal, AbortSignal.timeout(attemptDeadlineMs)]),
    });
    const text = await body.text();
    return { statusCode, body: parseBody(text, statusCode), retryAfterMs: parseRetryAfterMs(answered['retry-after'], Date.now()) };
  }

  url(path: string, query: ApiRequest['query'] = {}): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value);
    const text = parameters.toString();
    return `${this.connection.server}${path}${text === '' ? '' : `?${text}`}`;
  }
}

/** A success that is cut off must not pass for one; an error page of a proxy need not be JSON. */
function parseBody(text: string, statusCode: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (statusCode < 400) throw error;
    return { message: text.slice(0, 200) };
  }
}

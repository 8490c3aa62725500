// How long to wait before asking again: full jitter under a doubling ceiling, and never less than the server asked for.

const baseMs = 200;
const capMs = 30_000;
const maxDoublings = 20;
/** A server that asks for more is asked again after this time all the same. */
const maxRetryAfterMs = 120_000;

export function backoffMs(failures: number, retryAfterMs = 0): number {
  const ceilingMs = Math.min(capMs, baseMs * 2 ** Math.min(failures, maxDoublings));
  return Math.min(maxRetryAfterMs, retryAfterMs) + Math.random() * ceilingMs;
}

/** Retry-After as seconds or as a date; undefined when it is absent or senseless. */
export function parseRetryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  const atMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(atMs) ? Math.max(0, atMs) : undefined;
}

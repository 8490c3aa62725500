// A signal for something that outlives the call that opens it.

/** `open` is aborted by `opening`; what it returned is not, and ends by its own means. */
export async function outliving<T>(opening: AbortSignal, open: (lifetime: AbortSignal) => Promise<T>): Promise<T> {
  opening.throwIfAborted();
  const lifetime = new AbortController();
  const abort = () => lifetime.abort(opening.reason);
  opening.addEventListener('abort', abort, { once: true });
  try {
    return await open(lifetime.signal);
  } finally {
    opening.removeEventListener('abort', abort);
  }
}

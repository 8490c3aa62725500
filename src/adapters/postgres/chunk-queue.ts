// What was received and not read yet: a bounded queue that holds the socket while the consumer is behind.

export interface ChunkQueue {
  push(chunk: Buffer): void;
  /** Ends the iteration with this error once what is queued was taken; undefined ends it quietly. */
  finish(error: Error | undefined): void;
  /** While the consumer is behind. */
  readonly full: () => boolean;
  readonly chunks: AsyncIterable<Buffer>;
}

const fullAtBytes = 4 * 1024 * 1024;
const roomyAtBytes = 1024 * 1024;

/** `onRoom` is called when it is no longer full. */
export function createChunkQueue(onRoom: () => void): ChunkQueue {
  const queue: Buffer[] = [];
  let bytes = 0;
  let full = false;
  let finished: { readonly error: Error | undefined } | undefined;
  let wake: () => void = () => undefined;

  async function* chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = queue.shift();
      if (chunk !== undefined) {
        bytes -= chunk.length;
        if (full && bytes < roomyAtBytes) {
          full = false;
          onRoom();
        }
        yield chunk;
      } else if (finished !== undefined) {
        if (finished.error !== undefined) throw finished.error;
        return;
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  return {
    push: (chunk) => {
      queue.push(chunk);
      bytes += chunk.length;
      full ||= bytes > fullAtBytes;
      wake();
    },
    finish: (error) => {
      finished ??= { error };
      wake();
    },
    full: () => full,
    chunks: { [Symbol.asyncIterator]: chunks },
  };
}

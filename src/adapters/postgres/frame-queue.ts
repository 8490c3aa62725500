// Frames between socket and consumer: a bounded queue that holds the socket while the consumer is behind.
import type { StreamFrame } from '../../ports/audit-database.ts';

export interface FrameQueue {
  /** What one chunk brought, and its size. */
  push(frames: readonly StreamFrame[], bytes: number): void;
  /** Ends the iteration with this error once what is queued was taken; undefined ends it quietly. */
  finish(error: Error | undefined): void;
  /** While the consumer is behind. */
  readonly full: () => boolean;
  readonly frames: AsyncIterable<readonly StreamFrame[]>;
}

const fullAtBytes = 4 * 1024 * 1024;
const roomyAtBytes = 1024 * 1024;

/** `onRoom` is called when it is no longer full. */
export function createFrameQueue(onRoom: () => void): FrameQueue {
  const queue: { readonly frames: readonly StreamFrame[]; readonly bytes: number }[] = [];
  let first = 0;
  let bytes = 0;
  let full = false;
  let finished: { readonly error: Error | undefined } | undefined;
  let wake: () => void = () => undefined;

  const take = (): readonly StreamFrame[] => {
    const taken = queue[first];
    first += 1;
    // Shifting one by one would move all the others each time.
    if (first * 2 > queue.length) first -= queue.splice(0, first).length;
    bytes -= taken?.bytes ?? 0;
    if (full && bytes < roomyAtBytes) {
      full = false;
      onRoom();
    }
    return taken?.frames ?? [];
  };

  async function* frames(): AsyncGenerator<readonly StreamFrame[]> {
    for (;;) {
      if (queue.length > first) yield take();
      else if (finished !== undefined) {
        if (finished.error !== undefined) throw finished.error;
        return;
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  return {
    push: (pushed, size) => {
      queue.push({ frames: pushed, bytes: size });
      bytes += size;
      full ||= bytes > fullAtBytes;
      wake();
    },
    finish: (error) => {
      finished ??= { error };
      wake();
    },
    full: () => full,
    frames: { [Symbol.asyncIterator]: frames },
  };
}

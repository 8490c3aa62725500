// Frames between socket and consumer: a bounded queue that pauses the socket while the consumer is behind.
import type { StreamFrame } from '../../ports/audit-database.ts';

export interface FrameQueue {
  push(frame: StreamFrame): void;
  /** Ends the iteration with this error once what is queued was taken; undefined ends it quietly. */
  finish(error: Error | undefined): void;
  readonly paused: () => boolean;
  readonly frames: AsyncIterable<readonly StreamFrame[]>;
}

const pauseAtBytes = 4 * 1024 * 1024;
const resumeAtBytes = 1024 * 1024;
/** So that the consumer can look at its clock and its signal in between. */
const takeAtMostFrames = 1024;

export function createFrameQueue(socket: { pause(): unknown; resume(): unknown }): FrameQueue {
  let queue: StreamFrame[] = [];
  let bytes = 0;
  let paused = false;
  let finished: { readonly error: Error | undefined } | undefined;
  let wake: () => void = () => undefined;

  const take = (): readonly StreamFrame[] => {
    const taken = queue.length <= takeAtMostFrames ? queue : queue.slice(0, takeAtMostFrames);
    queue = queue.length <= takeAtMostFrames ? [] : queue.slice(takeAtMostFrames);
    for (const frame of taken) bytes -= frame.data.length;
    if (paused && bytes < resumeAtBytes) {
      paused = false;
      socket.resume();
    }
    return taken;
  };

  async function* frames(): AsyncGenerator<readonly StreamFrame[]> {
    for (;;) {
      if (queue.length > 0) yield take();
      else if (finished !== undefined) {
        if (finished.error !== undefined) throw finished.error;
        return;
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  return {
    push: (frame) => {
      queue.push(frame);
      bytes += frame.data.length;
      if (!paused && bytes > pauseAtBytes) {
        paused = true;
        socket.pause();
      }
      wake();
    },
    finish: (error) => {
      finished ??= { error };
      wake();
    },
    paused: () => paused,
    frames: { [Symbol.asyncIterator]: frames },
  };
}

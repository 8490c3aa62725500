// The work queue under a clock that moves only when told, so that every order and delay is exact.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock } from '../../src/ports/clock.ts';
import { WorkQueue, type QueueOptions } from '../../src/reconcile/queue.ts';

/** Time that passes only by `advance`. */
function manualClock(): Clock & { advance(ms: number): Promise<void> } {
  let nowMs = 0;
  const sleepers = new Set<{ readonly dueMs: number; readonly wake: () => void }>();
  return {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { dueMs: nowMs + ms, wake: () => resolve() };
        sleepers.add(sleeper);
        signal.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          reject(signal.reason as Error);
        });
      }),
    advance: async (ms) => {
      nowMs += ms;
      for (const sleeper of sleepers) {
        if (sleeper.dueMs > nowMs) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
      await settle();
    },
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function setUp(options: Partial<QueueOptions> = {}) {
  const clock = manualClock();
  const stop = new AbortController();
  const queue = new WorkQueue({ clock, random: { bytes: (length) => new Uint8Array(length).fill(255) }, concurrency: 1, ...options });
  const ran: string[] = [];
  const failures: number[] = [];
  const gates = new Map<string, { open: () => void; readonly passed: Promise<void> }>();
  const outcomes = new Map<string, { readonly requeueAfterMs?: number } | Error>();
  const hold = (key: string) => {
    let open = () => undefined as void;
    const passed = new Promise<void>((resolve) => (open = resolve));
    gates.set(key, { open, passed });
  };
  const done = queue.run(
    async (key) => {
      ran.push(key);
      await gates.get(key)?.passed;
      const outcome = outcomes.get(key) ?? {};
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
    stop.signal,
    (_, __, retryInMs) => failures.push(retryInMs),
  );
  return { clock, stop, queue, ran, failures, gates, outcomes, hold, done };
}

test('a key added twice runs once; added while it runs it runs once more', async () => {
  const { queue, ran, gates, hold, stop, done } = setUp();
  hold('a');
  queue.add('a');
  queue.add('a');
  await settle();
  expect(ran).toEqual(['a']);
  queue.add('a');
  queue.add('a');
  gates.get('a')?.open();
  await settle();
  expect(ran).toEqual(['a', 'a']);
  stop.abort();
  await done;
});

test('higher priorities run first, equals in their order', async () => {
  const { queue, ran, stop, done } = setUp();
  queue.add('low', { priority: 0 });
  queue.add('high', { priority: 5 });
  queue.add('second', { priority: 5 });
  queue.add('raised');
  queue.add('raised', { priority: 9 });
  await settle();
  expect(ran).toEqual(['raised', 'high', 'second', 'low']);
  stop.abort();
  await done;
});

test('a delayed key waits for its time, and the earlier request wins', async () => {
  const { queue, ran, clock, stop, done } = setUp();
  queue.add('a', { afterMs: 1000 });
  queue.add('a', { afterMs: 5000 });
  await settle();
  await clock.advance(999);
  expect(ran).toEqual([]);
  await clock.advance(1);
  expect(ran).toEqual(['a']);
  await clock.advance(10_000);
  expect(ran).toEqual(['a']);
  stop.abort();
  await done;
});

test('failures back off exponentially up to the cap, and a success forgets them', async () => {
  const { queue, ran, clock, failures, outcomes, stop, done } = setUp({ backoff: { baseMs: 100, capMs: 500 } });
  outcomes.set('a', new Error('no'));
  queue.add('a');
  await settle();
  for (let round = 0; round < 4; round += 1) await clock.advance(500);
  expect(failures).toEqual([100, 200, 400, 500, 500]);
  outcomes.delete('a');
  await clock.advance(500);
  outcomes.set('a', new Error('no'));
  queue.add('a');
  await settle();
  expect(failures.at(-1)).toBe(100);
  expect(ran.length).toBe(7);
  stop.abort();
  await done;
});

test('a successful key comes back after the time it asked for', async () => {
  const { queue, ran, clock, outcomes, stop, done } = setUp();
  outcomes.set('a', { requeueAfterMs: 1000 });
  queue.add('a');
  await settle();
  await clock.advance(1000);
  await clock.advance(1000);
  expect(ran).toEqual(['a', 'a', 'a']);
  stop.abort();
  await done;
});

test('stopping waits for what runs, starts nothing more, and takes nothing more', async () => {
  const { queue, ran, gates, hold, stop, done } = setUp();
  hold('a');
  queue.add('a');
  queue.add('b');
  await settle();
  stop.abort();
  let ended = false;
  const watched = done.then(() => (ended = true));
  await settle();
  expect(ended).toBe(false);
  gates.get('a')?.open();
  await watched;
  queue.add('c');
  await settle();
  expect(ran).toEqual(['a']);
  expect(queue.depth).toBe(1);
});

test('no key runs twice at a time, never more than allowed, and every last change is seen', async () => {
  const steps = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), afterMs: fc.nat(3), fails: fc.boolean() }), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (adds, concurrency) => {
      const clock = manualClock();
      const stop = new AbortController();
      const queue = new WorkQueue({ clock, random: { bytes: (length) => new Uint8Array(length).fill(128) }, concurrency, backoff: { baseMs: 1, capMs: 4 } });
      const running = new Set<string>();
      const changedAt = new Map<string, number>();
      const seenAt = new Map<string, number>();
      let step = 0;
      let faults = 0;
      const failNext = new Set<string>();
      const done = queue.run(
        async (key) => {
          if (running.has(key) || running.size >= concurrency) faults += 1;
          running.add(key);
          const seen = changedAt.get(key) ?? 0;
          await new Promise((resolve) => setImmediate(resolve));
          running.delete(key);
          if (failNext.delete(key)) throw new Error('once');
          seenAt.set(key, seen);
          return {};
        },
        stop.signal,
        () => undefined,
      );
      for (const { key, afterMs, fails } of adds) {
        changedAt.set(key, (step += 1));
        if (fails) failNext.add(key);
        queue.add(key, { afterMs });
        if (step % 3 === 0) await clock.advance(1);
      }
      for (let round = 0; round < 12; round += 1) await clock.advance(5);
      stop.abort();
      await done;
      expect(faults).toBe(0);
      expect(seenAt).toEqual(changedAt);
    }),
    { numRuns: 40 },
  );
});

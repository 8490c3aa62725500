// A source for log tests that resumes from what is sealed, and a check of the whole log that shares no code with the writer.
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { LogWriterOptions } from '../../src/audit/open-log-writer.ts';
import { encodedEntries } from '../../src/log/bundle.ts';
import { generateSigningKey } from '../../src/log/keys.ts';
import type { SourceState } from '../../src/log/source-state.ts';
import { lsn } from '../../src/model/branded.ts';
import type { Clock, Randomness } from '../../src/ports/clock.ts';
import type { LogReader, LogStore } from '../../src/ports/log-store.ts';
import type { Batch, LogWriter } from '../../src/ports/log-writer.ts';
import { quietLogger } from './quiet-logger.ts';

export const origin = 'log.example.com/shop';
export const signing = generateSigningKey(origin, Buffer.alloc(32, 7));
export const source = 'postgresql/7312/shop';
export const realClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};
const randomness: Randomness = { bytes: (length) => randomBytes(length) };

export function writerOptions(store: LogStore, overrides: Partial<LogWriterOptions> = {}): LogWriterOptions {
  return {
    store,
    signingKey: signing.key,
    origin,
    clock: realClock,
    randomness,
    logger: quietLogger(),
    retention: { days: 10, uncoveredDays: 3 },
    sealing: { maxDelayMs: 1, maxBytes: 1024 * 1024 },
    publishing: { maxDelayMs: 5 },
    retryDeadlineMs: 500,
    signal: new AbortController().signal,
    ...overrides,
  };
}

export function entryOf(number: number): Buffer {
  return Buffer.from(JSON.stringify({ number, padding: 'x'.repeat(number % 40), type: 'heartbeat', v: 1 }));
}

/** The state after `count` entries of the source. */
export function stateAfter(count: number, name = source): SourceState {
  return {
    source: name,
    position: { incarnation: 1, lsn: lsn(BigInt(count) * 8n), seq: count, complete: true },
    relations: { '16384': `sha256:${'a'.repeat(64)}` },
    policies: {},
    configuration: { tables: ['orders'] },
    counters: { changes: count, attributed: count, gaps: 0 },
  };
}

/** Entries `from` (inclusive) to `to` (exclusive). */
export function batchOf(from: number, to: number, name = source): Batch {
  return { entries: encodedEntries(Array.from({ length: to - from }, (_, at) => entryOf(from + at))), state: stateAfter(to, name) };
}

export function sealedCount(writer: LogWriter): number {
  return writer.sourceState(source)?.position.seq ?? 0;
}

export interface CheckedLog {
  readonly entries: readonly Buffer[];
  readonly root: string;
  readonly journals: number;
  readonly digests: number;
}

/** Recomputes everything from the journal, naively: links, bundles, tiles of every digest's size, roots, checkpoints; and that nothing else is stored. */
export async function checkLog(reader: LogReader): Promise<CheckedLog> {
  const { signal } = new AbortController();
  const expected = new Map<string, Buffer | undefined>([['checkpoint', undefined]]);
  const stored = new Map<string, Buffer>();
  for await (const { key } of reader.list('', signal)) stored.set(key, Buffer.from((await reader.read(key, signal)) ?? []));
  const { entries, count } = readChain(stored, expected);
  const leaves = entries.map((entry) => sha(Buffer.of(0), entry));
  const { digests, size } = readDigests(stored, expected, { entries, leaves });
  for (const [key, bytes] of stored) {
    if (!expected.has(key)) throw new Error(`unexpected key ${key}`);
    const wanted = expected.get(key);
    if (wanted !== undefined && !wanted.equals(bytes)) throw new Error(`wrong bytes in ${key}`);
  }
  for (const key of expected.keys()) if (!stored.has(key) && (key !== 'checkpoint' || digests > 0)) throw new Error(`missing key ${key}`);
  if (digests > 0 && !stored.get('checkpoint')?.equals(stored.get(`checkpoints/${size}`) ?? Buffer.alloc(0))) throw new Error('checkpoint is not the latest');
  return { entries, root: rootOf(leaves).toString('base64'), journals: count, digests };
}

interface Tree {
  readonly entries: readonly Buffer[];
  readonly leaves: readonly Buffer[];
}

function readChain(stored: Map<string, Buffer>, expected: Map<string, Buffer | undefined>): { entries: Buffer[]; count: number } {
  const entries: Buffer[] = [];
  let previous = '0'.repeat(64);
  let number = 1;
  for (; ; number += 1) {
    const key = `journal/${String(number).padStart(20, '0')}`;
    const bytes = stored.get(key);
    if (bytes === undefined) return { entries, count: number - 1 };
    expected.set(key, undefined);
    const lines = bytes.toString('latin1').split('\n');
    if (lines[1] !== String(number) || lines[2] !== previous || lines[3] !== String(entries.length)) throw new Error(`${key} breaks the chain`);
    const bodyLength = Number(lines[8]?.split(' ')[1]);
    const body = gunzipSync(bytes.subarray(bytes.length - bodyLength));
    for (let at = 4 + body.readUInt32BE(0); at < body.length; ) {
      const length = body.readUInt16BE(at);
      entries.push(body.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    if (lines[4] !== String(entries.length)) throw new Error(`${key} has another number of entries`);
    if (lines[5] !== rootOf(entries.map((entry) => sha(Buffer.of(0), entry))).toString('base64')) throw new Error(`${key} has another root`);
    previous = createHash('sha256').update(bytes).digest('hex');
  }
}

function readDigests(stored: Map<string, Buffer>, expected: Map<string, Buffer | undefined>, { entries, leaves }: Tree): { digests: number; size: number } {
  let previous = '0'.repeat(64);
  let size = 0;
  for (let number = 1; ; number += 1) {
    const key = `digests/${String(number).padStart(20, '0')}`;
    const bytes = stored.get(key);
    if (bytes === undefined) return { digests: number - 1, size };
    expected.set(key, undefined);
    const lines = bytes.toString().split('\n');
    size = Number(lines[4]);
    if (lines[2] !== previous || lines[5] !== rootOf(leaves.slice(0, size)).toString('base64')) throw new Error(`${key} breaks the chain`);
    const checkpoint = `${lines[4]}\n${lines[5]}\n`;
    if (stored.get(`checkpoints/${size}`)?.toString().includes(checkpoint) !== true) throw new Error(`checkpoints/${size} is missing or wrong`);
    expected.set(`checkpoints/${size}`, undefined);
    addTree(expected, { entries: entries.slice(0, size), leaves: leaves.slice(0, size) });
    previous = createHash('sha256').update(bytes).digest('hex');
  }
}

function addTree(expected: Map<string, Buffer | undefined>, { entries, leaves }: Tree): void {
  let level = [...leaves];
  for (let height = 0; level.length > 0; height += 1) {
    const next: Buffer[] = [];
    for (let index = 0; index * 256 < level.length; index += 1) {
      const part = level.slice(index * 256, index * 256 + 256);
      const full = part.length === 256;
      if (full) next.push(rootOf(part));
      const name = `${String(index).padStart(3, '0')}${full ? '' : `.p/${part.length}`}`;
      expected.set(`tile/${height}/${name}`, Buffer.concat(part));
      if (height > 0) continue;
      const bundle = entries.slice(index * 256, index * 256 + 256).map((entry) => Buffer.concat([Buffer.of(entry.length >> 8, entry.length & 255), entry]));
      expected.set(`tile/entries/${name}`, Buffer.concat(bundle));
    }
    level = next;
  }
}

function sha(...parts: Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

/** RFC 6962 §2.1, to the letter. */
export function rootOf(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return sha();
  if (leaves.length === 1) return first;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha(Buffer.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

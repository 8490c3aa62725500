// The writer's access to its store: retried, with the right lock on every object, and write-once keys compared when taken.
import { RowsealError } from '../model/errors.ts';
import type { LogStore } from '../ports/log-store.ts';
import { type RetryContext, withRetries } from './retry.ts';

export interface LogFilesOptions extends RetryContext {
  readonly store: LogStore;
  readonly retention: { readonly days: number; readonly uncoveredDays: number };
}

export type Lock = 'full' | 'uncovered';
const dayMs = 24 * 60 * 60_000;

export class LogFiles {
  readonly #options: LogFilesOptions;

  constructor(options: LogFilesOptions) {
    this.#options = options;
  }

  /** For messages. */
  name(key: string): string {
    return `${this.#options.store.location}/${key}`;
  }

  read(key: string): Promise<Uint8Array | undefined> {
    return withRetries(this.#options, this.name(key), (signal) => this.#options.store.read(key, signal));
  }

  /** Creates, or says what is there already: an answer that was lost looks like somebody else's object until it is compared. */
  async create(key: string, bytes: Uint8Array, lock: Lock): Promise<{ readonly stored: Uint8Array; readonly same: boolean }> {
    const outcome = await withRetries(this.#options, this.name(key), (signal) => this.#options.store.create(key, bytes, { retainUntil: this.#retainUntil(lock), signal }));
    if (outcome === 'created') return { stored: bytes, same: true };
    const stored = await this.read(key);
    if (stored === undefined) {
      throw new RowsealError('LogInconsistent', 'a key is taken and cannot be read', { object: this.name(key), next: 'run rowseal verify: something hides this object' });
    }
    return { stored, same: Buffer.compare(stored, bytes) === 0 };
  }

  /** For objects that are a pure function of the journal. Throws LogInconsistent when other bytes are there. */
  async createSame(key: string, bytes: Uint8Array, lock: Lock): Promise<void> {
    const { same } = await this.create(key, bytes, lock);
    if (same) return;
    throw new RowsealError('LogInconsistent', 'other bytes are stored than the journal says', { object: this.name(key), next: 'run rowseal verify: this object was altered' });
  }

  /** A blob that is there already gets the full retention again before anything relies on it. */
  async createBlob(key: string, bytes: Uint8Array): Promise<void> {
    const outcome = await withRetries(this.#options, this.name(key), (signal) => this.#options.store.create(key, bytes, { retainUntil: this.#retainUntil('full'), signal }));
    if (outcome === 'created') return;
    await this.extend(key, 'full');
    await this.createSame(key, bytes, 'full');
  }

  replaceCheckpoint(bytes: Uint8Array, expected: Uint8Array | undefined): Promise<boolean> {
    return withRetries(this.#options, this.name('checkpoint'), (signal) => this.#options.store.replaceCheckpoint(bytes, expected, signal));
  }

  extend(key: string, lock: Lock): Promise<void> {
    return withRetries(this.#options, this.name(key), (signal) => this.#options.store.extendRetention(key, this.#retainUntil(lock), signal));
  }

  /** All keys with the prefix, in order. */
  keys(prefix: string): Promise<string[]> {
    return withRetries(this.#options, this.name(prefix), async (signal) => {
      const keys: string[] = [];
      for await (const { key } of this.#options.store.list(prefix, signal)) keys.push(key);
      return keys;
    });
  }

  #retainUntil(lock: Lock): Date {
    const { days, uncoveredDays } = this.#options.retention;
    return new Date(this.#options.clock.now().getTime() + (lock === 'full' ? days : uncoveredDays) * dayMs);
  }
}

// Events of standalone mode: one JSON object a line, bounded to two files, repetitions left out.
import { appendFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../model/errors.ts';
import { describeObject, type Resource } from '../../model/kinds.ts';
import type { ClusterNotice } from '../../ports/cluster.ts';
import type { Logger } from '../../ports/logger.ts';

const maxBytes = 1_048_576;
const repetitionMs = 300_000;
const rememberedNotices = 1000;

export class EventFile {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #seenMs = new Map<string, number>();

  constructor(stateFolder: string, logger: Logger) {
    this.#path = join(stateFolder, 'events.jsonl');
    this.#logger = logger;
  }

  append(resource: Resource, notice: ClusterNotice, nowMs: number): void {
    const object = describeObject(resource.kind, resource.metadata);
    const identity = JSON.stringify([object, resource.metadata.uid, notice]);
    if (nowMs - (this.#seenMs.get(identity) ?? -repetitionMs) < repetitionMs) return;
    this.#remember(identity, nowMs);
    const { type, reason, action, message } = notice;
    if (type === 'Warning') this.#logger.warn({ object, reason, action, detail: message }, 'event');
    else this.#logger.info({ object, reason, action, detail: message }, 'event');
    try {
      this.#rotate();
      // If we die here at most one line is cut short: an event is news, not a record.
      appendFileSync(this.#path, `${JSON.stringify({ time: new Date(nowMs).toISOString(), object, ...notice })}\n`);
    } catch (error) {
      this.#logger.warn({ error: describeError(error) }, 'an event could not be written');
    }
  }

  #remember(identity: string, nowMs: number): void {
    this.#seenMs.delete(identity);
    this.#seenMs.set(identity, nowMs);
    const [oldest] = this.#seenMs.keys();
    if (this.#seenMs.size > rememberedNotices && oldest !== undefined) this.#seenMs.delete(oldest);
  }

  #rotate(): void {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (size >= maxBytes) renameSync(this.#path, `${this.#path}.1`);
  }
}

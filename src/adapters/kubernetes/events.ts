// Events for people, events.k8s.io/v1: a bounded line, repetitions as a series, and failures only logged.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { describeError } from '../../model/errors.ts';
import { apiVersion, describeObject, type Resource } from '../../model/kinds.ts';
import type { ClusterNotice } from '../../ports/cluster.ts';
import type { Logger } from '../../ports/logger.ts';
import { type Client, mergePatch } from './client.ts';

interface Known {
  readonly name: string;
  readonly namespace: string;
  count: number;
  writtenMs: number;
}

const maxWaiting = 256;
const maxKnown = 1000;
/** A series is written at most this often. */
const seriesMs = 60_000;
const maxNoteLength = 1024;
const reportingController = 'rowseal.dev/operator';

export class Events {
  readonly #client: Client;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, Known>();
  readonly #waiting: { readonly resource: Resource; readonly notice: ClusterNotice }[] = [];
  #writing = false;

  constructor(client: Client, logger: Logger, signal: AbortSignal) {
    this.#client = client;
    this.#logger = logger;
    this.#signal = signal;
  }

  /** Returns at once; the Event is written when its turn comes, or dropped when too many wait. */
  add(resource: Resource, notice: ClusterNotice): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#logger.warn({ object: describeObject(resource.kind, resource.metadata), reason: notice.reason }, 'too many Events wait; one was dropped');
      return;
    }
    this.#waiting.push({ resource, notice });
    if (!this.#writing) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let next = this.#waiting.shift(); next !== undefined && !this.#signal.aborted; next = this.#waiting.shift()) {
      try {
        await this.#write(next.resource, next.notice);
      } catch (error) {
        if (!this.#signal.aborted) this.#logger.warn({ reason: next.notice.reason, error: describeError(error) }, 'an Event could not be written');
      }
    }
    this.#writing = false;
  }

  async #write(resource: Resource, notice: ClusterNotice): Promise<void> {
    const { namespace, name, uid } = resource.metadata;
    const identity = JSON.stringify([uid, notice]);
    const now = new Date();
    const known = this.#known.get(identity);
    if (known !== undefined) return this.#repeat(known, now);
    const eventName = `${name.slice(0, 200)}.${randomUUID().slice(0, 13)}`;
    this.#remember(identity, { name: eventName, namespace, count: 1, writtenMs: now.getTime() });
    await this.#client.call({
      verb: 'create',
      resource: 'events.events.k8s.io',
      object: `${namespace}/${eventName}`,
      method: 'POST',
      path: eventsPath(namespace),
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: eventName, namespace },
        eventTime: microTime(now),
        type: notice.type,
        reason: notice.reason,
        action: notice.action,
        note: notice.message.slice(0, maxNoteLength),
        regarding: { apiVersion, kind: resource.kind, namespace, name, uid },
        reportingController,
        reportingInstance: `rowseal-${hostname()}`.slice(0, 128),
      },
      signal: this.#signal,
    });
  }

  async #repeat(known: Known, now: Date): Promise<void> {
    known.count += 1;
    if (now.getTime() - known.writtenMs < seriesMs) return;
    known.writtenMs = now.getTime();
    await this.#client.send({
      verb: 'patch',
      resource: 'events.events.k8s.io',
      object: `${known.namespace}/${known.name}`,
      method: 'PATCH',
      path: `${eventsPath(known.namespace)}/${known.name}`,
      contentType: mergePatch,
      body: { series: { count: known.count, lastObservedTime: microTime(now) } },
      signal: this.#signal,
    });
  }

  #remember(identity: string, known: Known): void {
    this.#known.set(identity, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxKnown && oldest !== undefined) this.#known.delete(oldest);
  }
}

function eventsPath(namespace: string): string {
  return `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
}

/** Six digits after the point, which metav1.MicroTime insists on. */
function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z');
}

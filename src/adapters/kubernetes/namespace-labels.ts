// Labels of namespaces, remembered for a short while: grants select by them at every reconcile.
import { apiError, type ApiCall } from './api-error.ts';
import { isRecord } from './api-object.ts';
import type { Client } from './client.ts';

type Labels = Readonly<Record<string, string>>;

const lifetimeMs = 30_000;
const maxRemembered = 10_000;

export class NamespaceLabels {
  readonly #client: Client;
  readonly #remembered = new Map<string, { readonly labels: Labels; readonly readAtMs: number }>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Empty for a namespace that does not exist. Throws ClusterRefused, ClusterUnreachable. */
  async get(namespace: string, signal: AbortSignal): Promise<Labels> {
    const remembered = this.#remembered.get(namespace);
    if (remembered !== undefined && Date.now() - remembered.readAtMs < lifetimeMs) return remembered.labels;
    const call: ApiCall = { verb: 'get', resource: 'namespaces', object: namespace };
    const { statusCode, body } = await this.#client.send({ ...call, path: `/api/v1/namespaces/${encodeURIComponent(namespace)}`, signal });
    if (statusCode !== 200 && statusCode !== 404) throw apiError(call, statusCode, body);
    const labels = statusCode === 200 ? labelsOf(body) : {};
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(namespace, { labels, readAtMs: Date.now() });
    return labels;
  }
}

function labelsOf(body: unknown): Labels {
  const metadata = isRecord(body) && isRecord(body['metadata']) ? body['metadata'] : {};
  const labels = isRecord(metadata['labels']) ? metadata['labels'] : {};
  return Object.fromEntries(Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

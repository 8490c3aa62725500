// The Cluster port over a folder of manifests: reads and follows the files, keeps what an API server would keep in a state folder.
import { watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describeError } from '../../model/errors.ts';
import type { KindName, ObjectKey, Resource, StatusOf } from '../../model/kinds.ts';
import type { Approval, Cluster, ClusterEvent, ClusterNotice, Secret } from '../../ports/cluster.ts';
import type { Logger } from '../../ports/logger.ts';
import { collect, type Declared, type ManifestProblem } from './collect.ts';
import { EventFile } from './event-file.ts';
import { ManifestFiles } from './manifest-files.ts';
import { ObjectTable } from './object-table.ts';
import { describeProblem } from './read-manifests.ts';
import { StateFolder } from './state-folder.ts';

export interface ManifestClusterOptions {
  /** A folder, or one file. */
  readonly path: string;
  /** `.rowseal` in the manifests' folder when left out. */
  readonly stateFolder?: string;
  readonly logger: Logger;
  /** How often the folder is looked at even without a sign from the file system. */
  readonly pollMs?: number;
  /** How long a file must have been left alone before it counts. */
  readonly settleMs?: number;
}

export interface ManifestCluster extends Cluster {
  readonly stateFolder: string;
  /** What is wrong with the manifests as they are on disk; the last good state of each object is in force. */
  problems(): readonly ManifestProblem[];
}

const defaultPollMs = 1000;
const defaultSettleMs = 250;
/** A file that never stops changing does not keep the others waiting at start. */
const startSettleDeadlineMs = 5000;

/** Throws BadUsage when the path cannot be read or the state folder cannot be written. */
export async function openManifests(options: ManifestClusterOptions): Promise<ManifestCluster> {
  const path = resolve(options.path);
  const folder = (await stat(path).catch(() => undefined))?.isFile() === true ? dirname(path) : path;
  const stateFolder = resolve(options.stateFolder ?? join(folder, '.rowseal'));
  const { pollMs = defaultPollMs, settleMs = defaultSettleMs, logger } = options;
  const files = new ManifestFiles({ path, ignore: stateFolder, settleMs });
  // Reads the folder once, so that a wrong path is refused before a state folder is made for it.
  await files.scan(Date.now());
  return new FolderCluster({ files, folder, state: new StateFolder(stateFolder), logger, pollMs, settleMs });
}

interface Parts {
  readonly files: ManifestFiles;
  readonly folder: string;
  readonly state: StateFolder;
  readonly logger: Logger;
  readonly pollMs: number;
  readonly settleMs: number;
}

class FolderCluster implements ManifestCluster {
  readonly uid: string;
  readonly stateFolder: string;
  readonly #parts: Parts;
  readonly #objects: ObjectTable;
  readonly #events: EventFile;
  #listener: (event: ClusterEvent) => void = () => undefined;
  #declared: Declared = collect([]);
  #secretVersion = 1;
  #problems: readonly ManifestProblem[] = [];
  #said: ReadonlySet<string> = new Set();
  #wake = new AbortController();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.uid = parts.state.uid;
    this.stateFolder = parts.state.path;
    this.#events = new EventFile(parts.state.path, parts.logger);
    this.#objects = new ObjectTable({ state: parts.state, now: () => new Date(), emit: (event) => this.#listener(event) });
  }

  problems(): readonly ManifestProblem[] {
    return this.#problems;
  }

  async start(listener: (event: ClusterEvent) => void, signal: AbortSignal): Promise<void> {
    this.#listener = listener;
    const deadlineMs = Date.now() + startSettleDeadlineMs;
    while ((await this.#look()) && Date.now() < deadlineMs) await sleep(this.#parts.settleMs, undefined, { signal });
    this.#follow(signal).catch((error: unknown) => {
      if (!signal.aborted) this.#parts.logger.error({ error: describeError(error) }, 'the manifests are no longer followed');
    });
  }

  list<K extends KindName>(kind: K): readonly Resource<K>[] {
    return this.#objects.list(kind) as readonly Resource<K>[];
  }

  get<K extends KindName>(kind: K, key: ObjectKey): Resource<K> | undefined {
    return this.#objects.get(kind, key) as Resource<K> | undefined;
  }

  async secret(key: ObjectKey): Promise<Secret | undefined> {
    const declared = this.#declared.secrets.get(secretId(key));
    if (declared !== undefined) return { ...declared, resourceVersion: String(this.#secretVersion) };
    const data = this.#parts.state.generatedSecret(key);
    return data === undefined ? undefined : { data, annotations: {}, resourceVersion: '1' };
  }

  async createSecret(key: ObjectKey, data: Readonly<Record<string, string>>): Promise<'created' | 'exists'> {
    if (this.#declared.secrets.has(secretId(key))) return 'exists';
    if (!this.#parts.state.createSecret(key, data)) return 'exists';
    this.#listener({ kind: 'Secret', key });
    return 'created';
  }

  async namespaceLabels(namespace: string): Promise<Readonly<Record<string, string>>> {
    return { ...this.#declared.namespaceLabels.get(namespace), 'kubernetes.io/metadata.name': namespace };
  }

  async updateStatus<K extends KindName>(resource: Resource<K>, status: StatusOf<K>): Promise<void> {
    this.#objects.updateStatus(resource, status);
  }

  async setFinalizer(resource: Resource, present: boolean): Promise<void> {
    // The manifest may be back already, and waits for the deletion to be over.
    if (this.#objects.setFinalizer(resource, present)) this.#wake.abort();
  }

  /** Only what `rowseal approve` wrote counts: whoever writes the manifests could annotate them, too. */
  async approval({ metadata }: Resource<'RowPolicy'>): Promise<Approval> {
    const approval = this.#parts.state.approval(metadata);
    return approval === undefined ? { kind: 'None' } : { kind: 'Approved', ...approval };
  }

  notify(resource: Resource, notice: ClusterNotice): void {
    this.#events.append(resource, notice, Date.now());
  }

  /** Looks at the folder and takes over what it declares. True when it should be looked at again in a moment. */
  async #look(): Promise<boolean> {
    const scan = await this.#parts.files.scan(Date.now());
    const before = this.#declared.secrets;
    this.#declared = collect(scan.objects);
    const changed = [...new Set([...before.keys(), ...this.#declared.secrets.keys()])].filter(
      (id) => !isDeepStrictEqual(before.get(id), this.#declared.secrets.get(id)),
    );
    if (changed.length > 0) this.#secretVersion += 1;
    this.#problems = this.#objects.apply(this.#declared, scan);
    this.#say();
    for (const id of changed) {
      const slash = id.indexOf('/');
      this.#listener({ kind: 'Secret', key: { namespace: id.slice(0, slash), name: id.slice(slash + 1) } });
    }
    return scan.unsettled;
  }

  /** Each problem and each ignored object is said once, and again when it comes back. */
  #say(): void {
    const problems = this.#problems.map(describeProblem);
    for (const problem of problems) if (!this.#said.has(problem)) this.#parts.logger.warn({ problem }, 'a manifest is refused');
    for (const ignored of this.#declared.ignored) if (!this.#said.has(ignored)) this.#parts.logger.info({ ignored }, 'a manifest is not for Rowseal');
    this.#said = new Set([...problems, ...this.#declared.ignored]);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    this.#listenToFileSystem(signal);
    let waitMs = this.#parts.pollMs;
    while (!signal.aborted) {
      await sleep(waitMs, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) }).catch(() => undefined);
      if (signal.aborted) return;
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      try {
        waitMs = (await this.#look()) ? this.#parts.settleMs : this.#parts.pollMs;
      } catch (error) {
        // The folder is gone for the moment, or the state folder is full; what was declared stays in force.
        this.#parts.logger.error({ error: describeError(error) }, 'the manifests cannot be read');
        waitMs = this.#parts.pollMs;
      }
    }
  }

  /** Only a shortcut: whatever the file system does not say, the poll finds. */
  #listenToFileSystem(signal: AbortSignal): void {
    try {
      const watcher = watch(this.#parts.folder, { signal, persistent: false }, (_, name) => {
        if (name?.startsWith('.') !== true) this.#wake.abort();
      });
      watcher.on('error', () => undefined);
    } catch (error) {
      this.#parts.logger.debug({ error: describeError(error) }, 'the folder cannot be watched and is polled');
    }
  }
}

function secretId({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

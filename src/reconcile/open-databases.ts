// The databases that are connected right now, one a DatabaseConnection, and who is told when that changes.
import { takeOverAnnotation } from '../model/annotations.ts';
import { describeError } from '../model/errors.ts';
import { describeObject, type ObjectKey, type Resource } from '../model/kinds.ts';
import type { Cluster } from '../ports/cluster.ts';
import type { Database, DatabaseEngine, Holder } from '../ports/database.ts';
import type { Logger } from '../ports/logger.ts';
import { resolveTarget } from './connection-attempt.ts';
import type { ConnectedDatabases } from './connected-databases.ts';

export interface OpenDatabases extends ConnectedDatabases {
  /** The database as Secret and spec ask for it now: the open one if it is that already. */
  connect(connection: Resource<'DatabaseConnection'>, signal: AbortSignal): Promise<Database>;
  disconnect(key: ObjectKey): Promise<void>;
  close(): Promise<void>;
}

interface Connected {
  /** The target as text, to see when Secret or spec ask for another one; holds a password, so it stays in memory. */
  readonly fingerprint: string;
  readonly database: Database;
}

export interface OpenDatabasesOptions {
  readonly cluster: Cluster;
  readonly engine: DatabaseEngine;
  readonly logger: Logger;
  /** Identifies this process to the fence, until there are leases. */
  readonly leaseUid: string;
}

export function createOpenDatabases(options: OpenDatabasesOptions): OpenDatabases {
  const connected = new Map<string, Connected>();
  const listeners = new Set<(key: ObjectKey) => void>();
  const changed = (key: ObjectKey) => listeners.forEach((listener) => listener(key));

  const disconnect = async (key: ObjectKey): Promise<void> => {
    const current = connected.get(idOf(key));
    if (current === undefined) return;
    // Taken away before it is closed, so that nobody begins anything on it.
    connected.delete(idOf(key));
    changed(key);
    await current.database.close().catch((error: unknown) => options.logger.warn({ error: describeError(error) }, 'a database did not close cleanly'));
  };

  const watchLoss = (key: ObjectKey, entry: Connected): void => {
    entry.database.lost.catch(() => {
      if (connected.get(idOf(key)) !== entry) return;
      connected.delete(idOf(key));
      options.logger.warn({ object: describeObject('DatabaseConnection', key) }, 'the session was lost');
      changed(key);
    });
  };

  return {
    connect: async (connection, signal) => {
      const key = connection.metadata;
      const target = await resolveTarget(connection, options, signal);
      const fingerprint = JSON.stringify(target);
      const current = connected.get(idOf(key));
      if (current?.fingerprint === fingerprint) return current.database;
      await disconnect(key);
      const entry = { fingerprint, database: await options.engine.connect(target, holderOf(connection, options), signal) };
      connected.set(idOf(key), entry);
      watchLoss(key, entry);
      changed(key);
      return entry.database;
    },
    disconnect,
    get: (key) => connected.get(idOf(key))?.database,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: async () => {
      const databases = [...connected.values()].map((entry) => entry.database);
      connected.clear();
      for (const database of databases) await database.close();
    },
  };
}

function holderOf({ metadata }: Resource<'DatabaseConnection'>, { cluster, leaseUid }: OpenDatabasesOptions): Holder {
  const takeOverFrom = metadata.annotations[takeOverAnnotation];
  return { clusterUid: cluster.uid, leaseUid, holdsLease: false, ...(takeOverFrom === undefined ? {} : { takeOverFrom }) };
}

export function idOf(key: ObjectKey): string {
  return `${key.namespace}/${key.name}`;
}

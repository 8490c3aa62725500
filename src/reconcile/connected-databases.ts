// Where reconcilers find a database that is connected right now.
import type { ObjectKey } from '../model/kinds.ts';
import type { Database } from '../ports/database.ts';

export interface ConnectedDatabases {
  /** The database of a DatabaseConnection; undefined while it is not connected. */
  get(key: ObjectKey): Database | undefined;
  /** Called with the connection's key whenever its database was connected, replaced or lost. Returns how to stop listening. */
  onChange(listener: (key: ObjectKey) => void): () => void;
}

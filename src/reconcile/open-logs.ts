// The logs that are open for writing, by the AuditLog that declares them.
import type { ObjectKey } from '../model/kinds.ts';
import type { LogWriter } from '../ports/log-writer.ts';

export interface OpenLogs {
  get(key: ObjectKey): LogWriter | undefined;
  set(key: ObjectKey, log: LogWriter): void;
  remove(key: ObjectKey): void;
  keys(): readonly ObjectKey[];
}

/** `onChange` is told the key of every log that opened or closed. */
export function createOpenLogs(onChange: (key: ObjectKey) => void): OpenLogs {
  const logs = new Map<string, { readonly key: ObjectKey; readonly log: LogWriter }>();
  const idOf = (key: ObjectKey) => `${key.namespace}/${key.name}`;
  return {
    get: (key) => logs.get(idOf(key))?.log,
    set: (key, log) => {
      logs.set(idOf(key), { key, log });
      onChange(key);
    },
    remove: (key) => {
      if (logs.delete(idOf(key))) onChange(key);
    },
    keys: () => [...logs.values()].map((open) => open.key),
  };
}

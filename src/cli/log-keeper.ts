// Opens logs for the AuditLog controller: the store that the settings name, probed, and a writer on it.
import { resolve } from 'node:path';
import { openFilesystemStore } from '../adapters/filesystem/store.ts';
import { createS3Store } from '../adapters/s3/s3-store.ts';
import { openLogWriter } from '../audit/open-log-writer.ts';
import { generateSigningKey, parseSigningKey } from '../log/keys.ts';
import { RowsealError } from '../model/errors.ts';
import type { LogKeeper, LogSettings, LogStorage } from '../ports/audit-runtime.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { LogStore } from '../ports/log-store.ts';
import type { Logger } from '../ports/logger.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { outliving } from './lifetime.ts';

export interface LogKeeperOptions {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  /** Relative paths of logs are below this folder. */
  readonly cwd: string;
}

const seedBytes = 32;

export function createLogKeeper(options: LogKeeperOptions): LogKeeper {
  return {
    generateKeys: (origin) => {
      const { text, key } = generateSigningKey(origin, options.randomness.bytes(seedBytes));
      return { signerKey: text, verifierKey: key.verifier.text };
    },
    verifierKeyOf: (signerKey, origin) => signingKeyOf(signerKey, origin).verifier.text,
    open: (settings, signal) => openLog(settings, options, signal),
  };
}

/** `signal` ends the opening only: an open log outlives the reconcile that opened it, and ends by `close`. */
async function openLog(settings: LogSettings, options: LogKeeperOptions, signal: AbortSignal): Promise<LogWriter> {
  return outliving(signal, async (lifetime) => {
    const signingKey = signingKeyOf(settings.signerKey, settings.origin);
    const store = await openStore(settings.storage, options.cwd);
    return openLogWriter({ ...settings, ...options, store, signingKey, signal: lifetime });
  });
}

async function openStore(storage: LogStorage, cwd: string): Promise<LogStore> {
  switch (storage.kind) {
    case 'Filesystem':
      return openFilesystemStore(resolve(cwd, storage.path));
    case 'S3':
      return createS3Store(storage);
  }
}

function signingKeyOf(text: string, origin: string) {
  const key = parseSigningKey(text);
  if (key.name === origin) return key;
  throw new RowsealError('BadKey', `the signing key is for ${key.name}, the log's origin is ${origin}`, { next: 'use the key that was made for this origin' });
}

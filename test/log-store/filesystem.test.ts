// The filesystem store under the contract of every LogStore.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import type { LogStore } from '../../src/ports/log-store.ts';
import { describeLogStore } from './contract.ts';

const folders: string[] = [];
const rootOf = new WeakMap<LogStore, string>();

async function openAt(folder: string): Promise<LogStore> {
  const store = await openFilesystemStore(folder);
  rootOf.set(store, folder);
  return store;
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describeLogStore({
  name: 'Filesystem',
  locks: false,
  open: async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rowseal-contract-'));
    folders.push(folder);
    return openAt(folder);
  },
  reopen: async (store) => openAt(rootOf.get(store) ?? ''),
});

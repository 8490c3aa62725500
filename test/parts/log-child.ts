// The process that the kill test kills: seals batches of random size into a folder, and appends what is committed to a file.
import { appendFileSync } from 'node:fs';
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import { batchOf, sealedCount, writerOptions } from './log-workload.ts';

const [path, confirmedFile] = process.argv.slice(2);
if (path === undefined || confirmedFile === undefined) throw new Error('usage: log-child FOLDER FILE');
const { signal } = new AbortController();
const writer = await openLogWriter(writerOptions(await openFilesystemStore(path)));
for (let count = sealedCount(writer); ; ) {
  const next = count + 1 + Math.floor(Math.random() * 60);
  await writer.append(batchOf(count, next), signal);
  appendFileSync(confirmedFile, `\n${next}`);
  count = next;
}

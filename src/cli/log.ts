// `rowseal log`: the entries of a log, published and sealed, as a table or as the exact leaves.
import { once } from 'node:events';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Entry, parseEntry } from '../log/entry.ts';
import type { VerifierKey } from '../log/keys.ts';
import { RowsealError } from '../model/errors.ts';
import type { LogReader } from '../ports/log-store.ts';
import { firstUncovered, readCheckpoint, readJournalEntries, type ReadLeaf, readPublished } from '../verify/read-entries.ts';
import { type Io, writeLine } from './io.ts';
import { type EntryFilter, isWanted, tableHeader, tableLine } from './log-line.ts';
import { onBadEvidence, openLog, readVerifierKey } from './open-log.ts';
import { systemClock } from './system.ts';

interface LogFlags {
  readonly table?: string;
  readonly actor?: string;
  readonly since?: number;
  readonly key?: string;
  readonly follow?: boolean;
  readonly output: 'table' | 'jsonl';
}

const pollMs = 1_000;

export function registerLog(program: Command, io: Io): void {
  program
    .command('log')
    .description('Print the entries of a log; it shows what is stored, `verify` says whether it is true')
    .argument('<log>', 'a folder, or s3://bucket/prefix')
    .option('--table <schema.name>', 'only entries about this table')
    .option('--actor <user>', "only entries by this user, role or claims' subject")
    .option('--since <time>', 'only entries from this time on (RFC 3339)', parseTimeMs)
    .option('--key <key>', 'believe only what this verifier key signed, or a file that holds it')
    .option('--follow', 'go on with what is sealed from now on')
    .addOption(new Option('-o, --output <format>', 'a table, or the exact bytes of each leaf in a line').choices(['table', 'jsonl']).default('table'))
    .action(async (location: string, flags: LogFlags) => io.exit(await printLog(location, flags, io)));
}

async function printLog(location: string, flags: LogFlags, io: Io): Promise<0 | 1> {
  const key = flags.key === undefined ? undefined : await readVerifierKey(flags.key, io);
  const reader = await openLog(location, io);
  if (flags.output === 'table') writeLine(io.stdout, tableHeader);
  try {
    const whole = await onBadEvidence(io, async () => {
      for await (const leaf of allLeaves({ reader, key, follow: flags.follow === true }, io)) await print(leaf, flags, io);
      return true;
    });
    return whole === true ? 0 : 1;
  } catch (error) {
    // Ctrl-C is how `--follow` ends.
    if (io.signal.aborted) return 0;
    throw error;
  }
}

interface Reading {
  readonly reader: LogReader;
  readonly key: VerifierKey | undefined;
  readonly follow: boolean;
}

/** Published entries from bundles, then the journal, which is always ahead of them. */
async function* allLeaves({ reader, key, follow }: Reading, io: Io): AsyncGenerator<ReadLeaf> {
  // Before the checkpoint: whatever is published after this is in the journal from here on.
  let number = await firstUncovered(reader, key, io.signal);
  const published = await readCheckpoint(reader, key, io.signal);
  let next = published?.head.size ?? 0;
  if (published === undefined && !follow && (await readJournalEntries(reader, { key, number }, io.signal)) === undefined) {
    throw new RowsealError('LogNotFound', 'no log is stored here', { object: reader.location, next: 'check the path, or the bucket and prefix' });
  }
  yield* readPublished(reader, { from: 0, to: next }, io.signal);
  for (;;) {
    const leaves = await readJournalEntries(reader, { key, number }, io.signal);
    if (leaves === undefined) {
      if (!follow) return;
      await systemClock.sleep(pollMs, io.signal);
      continue;
    }
    number += 1;
    for (const leaf of leaves) {
      if (leaf.index < next) continue;
      yield leaf;
      next = leaf.index + 1;
    }
  }
}

async function print({ index, bytes }: ReadLeaf, flags: LogFlags, io: Io): Promise<void> {
  const entry = parsed(bytes);
  if (entry === undefined) {
    writeLine(io.stderr, `rowseal: entry ${index} is of a form that this version does not know`);
    return;
  }
  if (!isWanted(entry, filterOf(flags))) return;
  const line = flags.output === 'jsonl' ? Buffer.concat([bytes, Buffer.from('\n')]) : `${tableLine(index, entry, io.color)}\n`;
  if (!io.stdout.write(line)) await once(io.stdout, 'drain', { signal: io.signal });
}

function filterOf({ table, actor, since }: LogFlags): EntryFilter {
  return { ...(table === undefined ? {} : { table }), ...(actor === undefined ? {} : { actor }), ...(since === undefined ? {} : { sinceMs: since }) };
}

function parsed(bytes: Uint8Array): Entry | undefined {
  try {
    return parseEntry(bytes);
  } catch (error) {
    if (error instanceof RowsealError) return undefined;
    throw error;
  }
}

function parseTimeMs(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('it is a time such as 2026-11-23T10:00:00Z');
  return ms;
}

// `rowseal prove`: an inclusion proof of one entry, which docs/verify.md shows how to check without Rowseal.
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { proveEntry } from '../verify/prove-entry.ts';
import type { Io } from './io.ts';
import { onBadEvidence, openLog, readVerifierKey } from './open-log.ts';

interface ProveFlags {
  readonly entry: number;
  readonly key?: string;
  readonly entryFile?: string;
}

export function registerProve(program: Command, io: Io): void {
  program
    .command('prove')
    .description('Print a proof (C2SP tlog-proof) that an entry is under the latest checkpoint')
    .argument('<log>', 'a folder, or s3://bucket/prefix')
    .requiredOption('--entry <index>', 'which entry, from 0', parseIndex)
    .option('--key <key>', 'check the checkpoint with this verifier key, or a file that holds it')
    .option('--entry-file <file>', "write the entry's own bytes into this file, for checking the proof")
    .action(async (location: string, flags: ProveFlags) => io.exit(await prove(location, flags, io)));
}

async function prove(location: string, { entry: index, key, entryFile }: ProveFlags, io: Io): Promise<0 | 1> {
  const verifierKey = key === undefined ? undefined : await readVerifierKey(key, io);
  const reader = await openLog(location, io);
  const proven = await onBadEvidence(io, async () => proveEntry(reader, { index, key: verifierKey }, io.signal));
  if (proven === undefined) return 1;
  const { proof, entry } = proven;
  // If we die between the two, a file is there that nobody was given a proof for; running again writes it again.
  if (entryFile !== undefined) await writeFile(resolve(io.cwd, entryFile), entry);
  io.stdout.write(proof);
  return 0;
}

function parseIndex(text: string): number {
  const index = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(index)) throw new InvalidArgumentError('it is a number from 0 on');
  return index;
}

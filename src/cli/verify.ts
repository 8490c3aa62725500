// `rowseal verify`: whether a log is what was sealed (DESIGN §6, Verify).
import { type Command, InvalidArgumentError, Option } from 'commander';
import { exitStatusOf, type Finding, type Verdict } from '../verify/verdict.ts';
import { verifyLog } from '../verify/verify-log.ts';
import { type Io, writeLine } from './io.ts';
import { openLog, readInput, readVerifierKey } from './open-log.ts';
import { systemClock } from './system.ts';

interface VerifyFlags {
  readonly key: string;
  readonly expect?: string;
  readonly unpublishedAfter?: number;
  readonly output: 'text' | 'json';
}

export function registerVerify(program: Command, io: Io): void {
  program
    .command('verify')
    .description('Check every file of a log against one public key: 0 sound, 1 tampered, 2 incomplete, 3 usage or unreachable')
    .argument('<log>', 'a folder, or s3://bucket/prefix with endpoint and credentials in the AWS environment variables')
    .requiredOption('--key <key>', 'the verifier key, or a file that holds it')
    .option('--expect <file>', 'a checkpoint that was kept elsewhere: the log must extend it')
    .option('--unpublished-after <seconds>', 'how long a sealed batch may wait to be published; 15 when left out', parseSeconds)
    .addOption(new Option('-o, --output <format>', 'how the verdict is printed').choices(['text', 'json']).default('text'))
    .action(async (location: string, flags: VerifyFlags) => io.exit(await verify(location, flags, io)));
}

async function verify(location: string, { key, expect, output, unpublishedAfter }: VerifyFlags, io: Io): Promise<0 | 1 | 2> {
  const verifierKey = await readVerifierKey(key, io);
  const expectedCheckpoint = expect === undefined ? undefined : await readInput(expect, io);
  const reader = await openLog(location, io);
  const options = {
    verifierKey,
    clock: systemClock,
    ...(expectedCheckpoint === undefined ? {} : { expectedCheckpoint }),
    ...(unpublishedAfter === undefined ? {} : { unpublishedAfterMs: unpublishedAfter * 1_000 }),
  };
  const verdict = await verifyLog(reader, options, io.signal);
  if (output === 'json') writeLine(io.stdout, JSON.stringify(verdict, undefined, 2));
  else for (const line of linesOf(verdict)) writeLine(io.stdout, line);
  return exitStatusOf(verdict.status);
}

function linesOf(verdict: Verdict): string[] {
  const { counts, findings, findingsTotal, notes } = verdict;
  const checked = `${counts.journals} journal objects, ${counts.digests} digest records, ${counts.checkpoints} checkpoints, ${counts.bundles} bundles, ${counts.tiles} tiles, ${counts.blobs} blobs`;
  return [
    `${verdict.status.toLowerCase()}: ${verdict.location}`,
    `  origin   ${verdict.origin}`,
    `  entries  ${verdict.treeSize} published${verdict.publishedAt === undefined ? '' : ` (last at ${verdict.publishedAt})`}, ${verdict.sealedSize} sealed, ${counts.gaps} gaps`,
    ...(verdict.rootHash === '' ? [] : [`  root     ${verdict.rootHash}`]),
    `  checked  ${checked}`,
    ...notes.map((note) => `  note     ${note}`),
    ...findings.map(lineOf),
    ...(findingsTotal > findings.length ? [`  and ${findingsTotal - findings.length} more findings`] : []),
  ];
}

function lineOf({ code, file, leafIndex, entry, message }: Finding): string {
  const leaf = leafIndex === undefined ? '' : ` leaf ${leafIndex}`;
  return `  ${code} ${file}${leaf}${entry === undefined ? '' : ` (${entry})`}: ${message}`;
}

function parseSeconds(text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError('it is a number of seconds');
  return Number(text);
}

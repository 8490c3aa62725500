// A capture in a process of its own, to be killed: one database into one log on the filesystem, real parts only.
import { openFilesystemStore } from '../../src/adapters/filesystem/store.ts';
import { openLogWriter } from '../../src/audit/open-log-writer.ts';
import { systemClock, systemRandomness } from '../../src/cli/system.ts';
import { keepYoungSpaceSmall } from '../../src/cli/young-space.ts';
import { parseSigningKey } from '../../src/log/keys.ts';
import { auditSettings, openAuditedDatabase, silentLogger } from './audited-database.ts';

export interface CaptureChildOptions {
  readonly port: number;
  readonly password: string;
  readonly log: string;
  readonly signingKey: string;
  readonly tables: readonly string[];
  readonly maxBatchBytes?: number;
  /** 1 MiB when left out. */
  readonly sealAtBytes?: number;
}

keepYoungSpaceSmall();
const options = JSON.parse(process.argv[2] ?? '{}') as CaptureChildOptions;
const signingKey = parseSigningKey(options.signingKey);
const database = await openAuditedDatabase({ ...options, database: 'postgres' });
const writer = await openLogWriter({
  store: await openFilesystemStore(options.log),
  signingKey,
  origin: signingKey.name,
  clock: systemClock,
  randomness: systemRandomness,
  logger: silentLogger,
  retention: { days: 1, uncoveredDays: 1 },
  sealing: { maxDelayMs: 20, maxBytes: options.sealAtBytes ?? 1024 * 1024 },
  publishing: { maxDelayMs: 200 },
  signal: new AbortController().signal,
});
const run = await database.start(writer, auditSettings(options.tables), options.maxBatchBytes === undefined ? {} : { maxBatchBytes: options.maxBatchBytes });
run.failed.catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(3);
});
process.stdout.write('capturing\n');
process.once('SIGTERM', () => {
  void (async () => {
    await run.stop();
    await writer.close(AbortSignal.timeout(20_000));
    await database.close();
    process.exit(0);
  })();
});

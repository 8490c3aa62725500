// Verification of a whole log: everything that is stored against everything that was signed (DESIGN §6, Verify).
import { encodeBase64 } from '../log/base64.ts';
import { checkpointKey, openCheckpoint, publishedCheckpointKey } from '../log/checkpoint.ts';
import { digestKey } from '../log/digest.ts';
import { journalKey } from '../log/journal.ts';
import type { VerifierKey } from '../log/keys.ts';
import { sha256Hex } from '../log/merkle.ts';
import { RowsealError } from '../model/errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { LogReader } from '../ports/log-store.ts';
import { DigestCheck, type Published } from './digest-check.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import { JournalCheck, type JournalEvidence } from './journal-check.ts';
import { patiently } from './patience.ts';
import { SignedFiles, keyFinding } from './signed-files.ts';
import { SourceOrder } from './source-order.ts';
import { TreeCheck } from './tree-check.ts';
import { type EvidenceCounts, Findings, type Verdict } from './verdict.ts';

export interface VerifyOptions {
  /** The log's origin is its name. */
  readonly verifierKey: VerifierKey;
  /** A checkpoint of this log that was kept elsewhere: the log must extend it. */
  readonly expectedCheckpoint?: Uint8Array;
  /**
   * A batch that was sealed longer ago and is not published is a finding, since a removed digest record leaves just that;
   * a younger one is waited for. Publishing takes ten seconds by default.
   */
  readonly unpublishedAfterMs?: number;
  readonly clock: Clock;
}

const defaultUnpublishedAfterMs = 15_000;
const publicationPauseMs = 200;

/**
 * Reads the whole log and never throws on bad evidence. Throws LogNotFound where nothing is stored, what the reader throws
 * when it cannot read, BadNote or BadLogData for an expected checkpoint that is none of this log, and the signal's reason.
 */
export async function verifyLog(reader: LogReader, options: VerifyOptions, signal: AbortSignal): Promise<Verdict> {
  const run = await beginRun(reader, options, signal);
  const { evidence, inventory, findings } = run;
  if (inventory.empty) throw new RowsealError('LogNotFound', 'no log is stored here', { object: reader.location, next: 'check the path, or the bucket and prefix' });
  const wrongKey = keyFinding(options.verifierKey, await samplesOf(inventory, run.pointer, signal));
  if (wrongKey !== undefined) {
    findings.add(wrongKey);
    return verdictOf(run, { number: 0, size: 0, lastJournal: 0, root: new Uint8Array(), holes: false });
  }
  const journal = new JournalCheck(evidence);
  const published = await new DigestCheck(evidence, journal).all();
  const tail = await journal.through();
  await evidence.tree.finish();
  evidence.tree.checkExpected();
  await checkPointer(run, published, signal);
  if (tail > 0) await checkTail(run, published, { journal, signal });
  await checkUnread(run, published, signal);
  return verdictOf(run, published);
}

interface Run {
  readonly reader: LogReader;
  readonly options: VerifyOptions;
  readonly inventory: Inventory;
  readonly findings: Findings;
  readonly evidence: JournalEvidence;
  readonly notes: string[];
  /** `checkpoint` as it was before everything else: whatever it commits to was published by then. */
  readonly pointer: Uint8Array | undefined;
}

async function beginRun(reader: LogReader, options: VerifyOptions, signal: AbortSignal): Promise<Run> {
  const { verifierKey, expectedCheckpoint } = options;
  const expected = expectedCheckpoint === undefined ? undefined : openCheckpoint(expectedCheckpoint, verifierKey.name, [verifierKey]);
  const findings = new Findings();
  const counts: EvidenceCounts = { journals: 0, digests: 0, checkpoints: 0, bundles: 0, tiles: 0, blobs: 0, gaps: 0 };
  const pointer = await reader.read(checkpointKey, signal);
  const inventory = await takeInventory(reader, findings, signal);
  const files = new SignedFiles(verifierKey, findings);
  const base = { inventory, findings, counts, signal, sources: new SourceOrder(findings) };
  const evidence = { ...base, files, clock: options.clock, tree: new TreeCheck(base, expected) };
  return { reader, options, inventory, findings, evidence, notes: [], pointer };
}

async function samplesOf(inventory: Inventory, pointer: Uint8Array | undefined, signal: AbortSignal): Promise<Map<string, Uint8Array>> {
  const samples = new Map<string, Uint8Array>();
  if (pointer !== undefined) samples.set(checkpointKey, pointer);
  const first = [inventory.digests.slice(0, 2).map(digestKey), inventory.journals.slice(0, 2).map(journalKey)].flat();
  for (const key of first) {
    const bytes = await inventory.read(key, signal);
    if (bytes !== undefined) samples.set(key, bytes);
  }
  return samples;
}

/** `checkpoint` must be the latest of checkpoints/; a live writer may be between the two, so it is given a moment. */
async function checkPointer({ reader, inventory, options, evidence, pointer }: Run, published: Published, signal: AbortSignal): Promise<void> {
  await inventory.read(checkpointKey, signal);
  let current = pointer;
  const settled = async (): Promise<boolean | undefined> => {
    if (published.checkpoint === undefined || same(current, published.checkpoint)) return true;
    current = await reader.read(checkpointKey, signal);
    if (same(current, published.checkpoint)) return true;
    // A live writer has published more since; what we read is whole without it.
    const following = published.number + 1;
    return !inventory.digests.includes(following) && (await reader.read(digestKey(following), signal)) !== undefined ? true : undefined;
  };
  const isSettled = await patiently(settled, options.clock, signal);
  if (isSettled === true && published.checkpoint !== undefined) return;
  if (current === undefined) {
    if (published.size > 0) evidence.findings.add({ code: 'Missing', file: checkpointKey, message: 'the latest checkpoint is missing' });
    return;
  }
  const opened = evidence.files.checkpoint(checkpointKey, current);
  if (opened === undefined || (opened.size === published.size && Buffer.compare(opened.root, published.root) === 0)) return;
  if (opened.size > published.size) {
    const file = digestKey(published.number + 1);
    evidence.findings.add({ code: 'Missing', file, message: `the checkpoint holds ${opened.size} entries, and no digest record published them` });
    return;
  }
  const message = `it is the tree head of ${opened.size} entries; the latest digest record published ${published.size}`;
  evidence.findings.add({ code: opened.size < published.size ? 'BehindCheckpoint' : 'NotExtending', file: checkpointKey, message });
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** Journal objects after the last digest record: a live log publishes them in a moment, a cut or dead one does not. */
async function checkTail(run: Run, published: Published, { journal, signal }: { journal: JournalCheck; signal: AbortSignal }): Promise<void> {
  const { evidence, findings, notes } = run;
  const entries = evidence.tree.size - published.size;
  const objects = `${journalKey(published.lastJournal + 1)} to ${journalKey(journal.lastNumber)}`;
  const file = digestKey(published.number + 1);
  if (await isPublishedInTime(run, { file, sealedAt: journal.lastTime }, signal)) {
    notes.push(`${entries} entries in ${objects} are sealed, not published`);
    return;
  }
  const message = `${objects} with ${entries} entries are sealed and were not published: this record is missing, or the writer has stopped; a running writer publishes them`;
  findings.add({ code: 'Unpublished', file, leafIndex: published.size, message });
}

interface Awaited {
  /** The digest record that is to come. */
  readonly file: string;
  readonly sealedAt: string | undefined;
}

async function isPublishedInTime({ reader, options }: Run, { file, sealedAt }: Awaited, signal: AbortSignal): Promise<boolean> {
  const { clock, unpublishedAfterMs = defaultUnpublishedAfterMs } = options;
  if (unpublishedAfterMs === Number.POSITIVE_INFINITY) return true;
  const ageMs = sealedAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, clock.now().getTime() - Date.parse(sealedAt));
  for (let waitMs = unpublishedAfterMs - ageMs; ; waitMs -= publicationPauseMs) {
    if ((await reader.read(file, signal)) !== undefined) return true;
    if (waitMs <= 0) return false;
    await clock.sleep(publicationPauseMs, signal);
  }
}

/** What no signed file implies. A tree that could not be rebuilt implies too little to accuse its tiles. */
async function checkUnread({ inventory, evidence, findings, notes }: Run, published: Published, signal: AbortSignal): Promise<void> {
  const { tree, files } = evidence;
  for (const file of [...inventory.unread()].sort()) {
    if (file.startsWith('tile/') && tree.broken) {
      notes.push(`${file} could not be checked`);
      continue;
    }
    const bytes = await inventory.read(file, signal);
    if (bytes === undefined) continue;
    const blob = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(file)?.[1];
    if (blob !== undefined && sha256Hex(bytes) === blob) {
      // A writer stores blobs before the entries that name them, and may have died between the two.
      notes.push(`${file} is named by no entry`);
      continue;
    }
    const checkpoint = file.startsWith('checkpoints/') ? files.checkpoint(file, bytes) : undefined;
    if (checkpoint !== undefined && publishedCheckpointKey(checkpoint.size) === file && checkpoint.size > published.size) {
      findings.add({ code: 'Missing', file: digestKey(published.number + 1), message: `the digest record of ${file} is missing` });
    } else if (checkpoint !== undefined && publishedCheckpointKey(checkpoint.size) === file && published.holes) {
      notes.push(`the digest record of ${file} is not there to compare it with`);
    } else if (checkpoint !== undefined || !file.startsWith('checkpoints/')) {
      findings.add({ code: 'Unexpected', file, message: 'no signed file implies that this file exists' });
    }
  }
}

function verdictOf({ reader, options, findings, evidence, notes }: Run, published: Published): Verdict {
  const { tree, sources, counts } = evidence;
  return {
    status: findings.status,
    location: reader.location,
    origin: options.verifierKey.name,
    treeSize: published.size,
    rootHash: encodeBase64(published.root),
    sealedSize: Math.max(tree.size, published.size),
    ...(published.time === undefined ? {} : { publishedAt: published.time }),
    counts: { ...counts, gaps: sources.gaps },
    findings: findings.kept,
    findingsTotal: findings.total,
    notes,
  };
}

// The chain of digest records, each against the tree and its published checkpoint.
import { digestKey } from '../log/digest.ts';
import { publishedCheckpointKey } from '../log/checkpoint.ts';
import { noPrevious } from '../log/journal.ts';
import { checkBlobs } from './blob-check.ts';
import type { JournalCheck, JournalEvidence } from './journal-check.ts';
import { maxMissingNamed, type NumberedFile, numberedFiles } from './numbered-files.ts';
import { patiently } from './patience.ts';
import type { OpenedDigest } from './signed-files.ts';
import { formatPlace } from './source-order.ts';

/** What the last good digest record published. */
export interface Published {
  readonly number: number;
  readonly size: number;
  readonly lastJournal: number;
  readonly root: Uint8Array;
  readonly time?: string;
  /** Whether a record was missing or bad, so that what it published is unknown. */
  readonly holes: boolean;
  /** The bytes of its checkpoints/<size>; undefined when they are missing or bad. */
  readonly checkpoint?: Uint8Array;
}

/** Walks the chain from the first record on. */
export class DigestCheck {
  readonly #evidence: JournalEvidence;
  readonly #journal: JournalCheck;
  #previous: string | undefined = noPrevious;
  #published: Published = { number: 0, size: 0, lastJournal: 0, root: new Uint8Array(), holes: false };
  /** Whether the record before was missing or bad. */
  #hole = false;
  #holes = false;

  constructor(evidence: JournalEvidence, journal: JournalCheck) {
    this.#evidence = evidence;
    this.#journal = journal;
  }

  async all(): Promise<Published> {
    const { inventory, signal } = this.#evidence;
    let expected = 1;
    for await (const file of numberedFiles({ inventory, numbers: inventory.digests, keyOf: digestKey }, signal)) {
      this.#missing(expected, file.number - 1);
      await this.#consume(file);
      expected = file.number + 1;
    }
    return { ...this.#published, holes: this.#holes };
  }

  #missing(from: number, to: number): void {
    if (to < from) return;
    this.#previous = undefined;
    this.#hole = true;
    this.#holes = true;
    for (let number = from; number <= to && number < from + maxMissingNamed; number += 1) {
      this.#evidence.findings.add({ code: 'Missing', file: digestKey(number), message: `the digest record is missing (${from} to ${to})` });
    }
  }

  async #consume({ number, file, bytes }: NumberedFile): Promise<void> {
    this.#evidence.counts.digests += 1;
    const record = this.#evidence.files.digest(file, bytes);
    const previous = this.#previous;
    this.#previous = undefined;
    const afterHole = this.#hole;
    this.#hole = true;
    if (record?.number !== number) {
      this.#holes = true;
      if (record !== undefined) this.#broken(file, `the record says that its number is ${record.number}`);
      return;
    }
    this.#previous = record.digest;
    this.#hole = false;
    if (previous !== undefined && record.previous !== previous) this.#broken(file, `the record does not continue ${digestKey(number - 1)}`);
    if (record.size < this.#published.size) return this.#broken(file, `the tree shrinks from ${this.#published.size} to ${record.size} entries`);
    if (!afterHole && record.firstJournal !== this.#published.lastJournal + 1) this.#broken(file, `the record skips journal objects before ${record.firstJournal}`);
    await this.#publication(file, record);
  }

  async #publication(file: string, record: OpenedDigest): Promise<void> {
    const { tree, findings } = this.#evidence;
    tree.require(this.#published.size, record.size);
    await this.#journal.through(record.lastJournal);
    await tree.fillTo(record.size);
    await checkBlobs(this.#evidence);
    if (!tree.broken) {
      if (tree.size !== record.size) this.#broken(file, `the record says ${record.size} entries, its journal objects end at ${tree.size}`);
      else if (!tree.root().equals(record.root)) {
        tree.break();
        findings.add({ code: 'RootMismatch', file, leafIndex: this.#published.size, message: 'the entries do not hash to the root that was signed' });
      }
    }
    this.#sources(file, record);
    const checkpoint = await this.#checkpoint(record);
    this.#published = {
      number: record.number,
      size: record.size,
      lastJournal: record.lastJournal,
      root: record.root,
      time: record.time,
      holes: false,
      ...(checkpoint === undefined ? {} : { checkpoint }),
    };
  }

  #sources(file: string, record: OpenedDigest): void {
    if (!this.#journal.current) return;
    const said = record.sources.map((source) => `${source.name} ${formatPlace(source)}`).sort();
    const sealed = this.#evidence.sources.positions();
    if (said.join('\n') !== sealed.join('\n')) this.#broken(file, 'the positions of the sources are not those that the journal sealed');
  }

  /** The bytes of checkpoints/<size> when they are good. Several records of one size share one checkpoint. */
  async #checkpoint(record: OpenedDigest): Promise<Uint8Array | undefined> {
    if (record.size === this.#published.size && this.#published.checkpoint !== undefined) return this.#published.checkpoint;
    const { files, findings, counts } = this.#evidence;
    const file = publishedCheckpointKey(record.size);
    const bytes = await this.#checkpointBytes(file, record.number);
    if (bytes === undefined) {
      findings.add({ code: 'Missing', file, message: `the checkpoint that ${digestKey(record.number)} published is missing` });
      return undefined;
    }
    counts.checkpoints += 1;
    const checkpoint = files.checkpoint(file, bytes);
    if (checkpoint === undefined) return undefined;
    if (checkpoint.size === record.size && Buffer.compare(checkpoint.root, record.root) === 0) return bytes;
    findings.add({ code: 'RootMismatch', file, message: `the checkpoint is not the tree head that ${digestKey(record.number)} committed` });
    return undefined;
  }

  /** The last record's checkpoint may be on its way; a record that was listed before others is long finished. */
  async #checkpointBytes(file: string, number: number): Promise<Uint8Array | undefined> {
    const { inventory, clock, signal } = this.#evidence;
    const read = async (): Promise<Uint8Array | undefined> => inventory.read(file, signal);
    return number < (inventory.digests.at(-1) ?? 0) ? read() : patiently(read, clock, signal);
  }

  #broken(file: string, message: string): void {
    this.#evidence.findings.add({ code: 'BrokenChain', file, message });
  }
}

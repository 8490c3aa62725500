// The journal's chain: each object's signature, number, link and root, and its entries into the tree.
import { decodeJournalBody, type JournalContent } from '../log/journal-body.ts';
import { journalKey, type JournalObject, noPrevious } from '../log/journal.ts';
import { RowsealError } from '../model/errors.ts';
import type { Clock } from '../ports/clock.ts';
import { checkBlobs } from './blob-check.ts';
import { maxMissingNamed, type NumberedFile, numberedFiles } from './numbered-files.ts';
import type { SignedFiles } from './signed-files.ts';
import type { TreeCheck, TreeEvidence } from './tree-check.ts';

export interface JournalEvidence extends TreeEvidence {
  readonly files: SignedFiles;
  readonly tree: TreeCheck;
  readonly clock: Clock;
}

export class JournalCheck {
  readonly #evidence: JournalEvidence;
  readonly #objects: AsyncIterator<NumberedFile>;
  #next: IteratorResult<NumberedFile> | undefined;
  #previous: string | undefined = noPrevious;
  /** Whether the last object of the range was there and good, so that the state after it is known. */
  #current = true;
  #lastTime: string | undefined;
  #lastNumber = 0;

  constructor(evidence: JournalEvidence) {
    this.#evidence = evidence;
    const { inventory, signal } = evidence;
    this.#objects = numberedFiles({ inventory, numbers: inventory.journals, keyOf: journalKey }, signal);
  }

  /** Whether the source states are those after the last object that was asked for. */
  get current(): boolean {
    return this.#current;
  }

  /** Time of the last good object. */
  get lastTime(): string | undefined {
    return this.#lastTime;
  }

  get lastNumber(): number {
    return this.#lastNumber;
  }

  /** Everything up to object `last`, or all there is. Returns how many were looked at. */
  async through(last = Number.POSITIVE_INFINITY): Promise<number> {
    let count = 0;
    for (;;) {
      this.#next ??= await this.#objects.next();
      if (this.#next.done === true || this.#next.value.number > last) break;
      const file = this.#next.value;
      this.#next = undefined;
      this.#missing(this.#lastNumber + 1, file.number - 1);
      await this.#consume(file);
      this.#lastNumber = file.number;
      count += 1;
    }
    if (Number.isFinite(last)) {
      this.#missing(this.#lastNumber + 1, last);
      this.#lastNumber = Math.max(this.#lastNumber, last);
    }
    return count;
  }

  #missing(from: number, to: number): void {
    if (to < from) return;
    this.#previous = undefined;
    this.#current = false;
    for (let number = from; number <= to && number < from + maxMissingNamed; number += 1) {
      const file = journalKey(number);
      this.#evidence.findings.add({ code: 'Missing', file, leafIndex: this.#evidence.tree.size, message: `the journal object is missing (${from} to ${to})` });
    }
  }

  async #consume({ number, file, bytes }: NumberedFile): Promise<void> {
    const { counts, files } = this.#evidence;
    counts.journals += 1;
    const object = files.journal(file, bytes);
    const previous = this.#previous;
    this.#previous = undefined;
    this.#current = false;
    if (object === undefined) return;
    if (object.number !== number) return this.#broken(file, `the object says that its number is ${object.number}`);
    this.#previous = object.digest;
    if (previous !== undefined && object.previous !== previous) this.#broken(file, `the object does not continue ${journalKey(number - 1)}`);
    const content = this.#content(file, object);
    if (content === undefined) return;
    this.#lastTime = object.time;
    await this.#entriesOf(file, object, content);
  }

  #content(file: string, object: JournalObject): JournalContent | undefined {
    try {
      return decodeJournalBody(object);
    } catch (error) {
      if (!(error instanceof RowsealError)) throw error;
      this.#evidence.findings.add({ code: 'BadContent', file, message: error.message });
      return undefined;
    }
  }

  async #entriesOf(file: string, object: JournalObject, { state, entries }: JournalContent): Promise<void> {
    const { tree, sources, findings } = this.#evidence;
    await tree.fillTo(object.sizeBefore);
    if (tree.broken) return;
    if (tree.size !== object.sizeBefore) return this.#broken(file, `the object begins at entry ${object.sizeBefore}, the log before it ends at ${tree.size}`);
    sources.state(state, file);
    this.#current = true;
    await tree.append(entries, file);
    await checkBlobs(this.#evidence);
    if (tree.root().equals(object.rootAfter)) return;
    tree.break();
    findings.add({ code: 'RootMismatch', file, leafIndex: object.sizeBefore, message: 'the entries do not hash to the root that was signed' });
  }

  #broken(file: string, message: string): void {
    this.#evidence.findings.add({ code: 'BrokenChain', file, leafIndex: this.#evidence.tree.size, message });
  }
}

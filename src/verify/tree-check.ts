// The tree built again from entries, with every stored bundle and tile held against it.
import { hashBytes, leafHash, rootOfHashes, TreeEdge } from '../log/merkle.ts';
import { decodeBundle, encodeEntries } from '../log/bundle.ts';
import { checkpointKey, type Checkpoint } from '../log/checkpoint.ts';
import { bundleKey, partialTiles, splitHashes, tileKey, tileWidth } from '../log/tile.ts';
import { describeError } from '../model/errors.ts';
import type { Inventory } from './inventory.ts';
import { describeEntry, type SourceOrder } from './source-order.ts';
import type { EvidenceCounts, Findings } from './verdict.ts';

export interface TreeEvidence {
  readonly inventory: Inventory;
  readonly findings: Findings;
  readonly counts: EvidenceCounts;
  readonly sources: SourceOrder;
  readonly signal: AbortSignal;
}

interface StoredEntries {
  readonly entries: readonly Uint8Array[];
  readonly file: string;
}

export class TreeCheck {
  readonly #edge = new TreeEdge();
  readonly #evidence: TreeEvidence;
  /** Entries of the bundle that is being filled; its tile is level 0. */
  #bundle: Uint8Array[] = [];
  /** Hashes of the tile that is being filled, by level, and its index. */
  readonly #levels: { index: number; hashes: Uint8Array[] }[] = [];
  /** Partial widths that digest records imply for tiles not yet filled: `<level>/<index>` to widths. */
  readonly #required = new Map<string, Set<number>>();
  #publishedSize = 0;
  /** Of a checkpoint that was kept elsewhere. */
  readonly #expected: Checkpoint | undefined;
  #broken = false;

  constructor(evidence: TreeEvidence, expected?: Checkpoint) {
    this.#evidence = evidence;
    this.#expected = expected;
  }

  get size(): number {
    return this.#edge.size;
  }

  root(): Buffer {
    return this.#edge.root();
  }

  /** True once entries could not be had, or gave another root than was signed: nothing after that can be told. */
  get broken(): boolean {
    return this.#broken;
  }

  break(): void {
    this.#broken = true;
  }

  /** A digest record says that a tree of `to` leaves was published after one of `from`. */
  require(from: number, to: number): void {
    for (const { level, index, width } of partialTiles(to)) {
      const place = `${level}/${index}`;
      const widths = this.#required.get(place) ?? new Set<number>();
      this.#required.set(place, widths.add(width));
    }
    // Full tiles follow from the size alone.
    if (to > from) this.#publishedSize = to;
  }

  /** Appends leaves that were read from `file`. */
  async append(entries: readonly Uint8Array[], file: string): Promise<void> {
    const { sources } = this.#evidence;
    for (const entry of entries) {
      const hash = leafHash(entry);
      sources.entry(entry, { leafIndex: this.size, file });
      this.#edge.append(hash);
      this.#bundle.push(entry);
      if (this.#push(0, hash)) await this.#compareFull(0);
      if (this.size === this.#expected?.size) this.#compareExpected(this.#expected);
    }
  }

  /** Appends entries from stored bundles until the tree has `size` leaves: where journal objects are missing or bad. */
  async fillTo(size: number): Promise<void> {
    while (!this.#broken && this.size < size) {
      const index = Math.floor(this.size / tileWidth);
      const end = Math.min(size, (index + 1) * tileWidth);
      const found = await this.#storedEntries(index, end - index * tileWidth);
      if (found === undefined) return this.#unobtainable(index, end);
      await this.append(found.entries.slice(this.size - index * tileWidth), found.file);
    }
  }

  #unobtainable(index: number, end: number): void {
    this.#broken = true;
    const width = Math.min(tileWidth, Math.max(this.#publishedSize, end) - index * tileWidth);
    const message = `entries ${this.size} to ${end - 1} are neither in the journal nor in a bundle that fits`;
    this.#evidence.findings.add({ code: 'Missing', file: bundleKey({ index, width }), leafIndex: this.size, message });
  }

  /** Whether the log reached the expected checkpoint at all; call it after the last entry. */
  checkExpected(): void {
    if (this.#expected === undefined || this.#broken || this.size >= this.#expected.size) return;
    const message = `the log ends at ${this.size} entries, the expected checkpoint holds ${this.#expected.size}: its end was cut off`;
    this.#evidence.findings.add({ code: 'NotExtending', file: checkpointKey, leafIndex: this.size, message });
  }

  #compareExpected({ size, root }: Checkpoint): void {
    if (this.#broken || this.root().equals(root)) return;
    const message = `the first ${size} entries are not those of the expected checkpoint: the log was written again`;
    this.#evidence.findings.add({ code: 'NotExtending', file: checkpointKey, message });
  }

  /** The tiles that are still partial; call it once, after the last entry. */
  async finish(): Promise<void> {
    for (const [level, { index, hashes }] of this.#levels.entries()) {
      if (hashes.length > 0) await this.#compare({ level, index, hashes });
    }
  }

  #push(level: number, hash: Uint8Array): boolean {
    const tile = (this.#levels[level] ??= { index: 0, hashes: [] });
    tile.hashes.push(hash);
    return tile.hashes.length === tileWidth;
  }

  async #compareFull(level: number): Promise<void> {
    const tile = this.#levels[level];
    if (tile === undefined) return;
    await this.#compare({ level, ...tile });
    const up = rootOfHashes(tile.hashes);
    this.#levels[level] = { index: tile.index + 1, hashes: [] };
    if (level === 0) this.#bundle = [];
    if (this.#push(level + 1, up)) await this.#compareFull(level + 1);
  }

  /** Holds every stored width of one tile, and every width that must be there, against the hashes. */
  async #compare({ level, index, hashes }: { level: number; index: number; hashes: readonly Uint8Array[] }): Promise<void> {
    const place = `${level}/${index}`;
    const required = this.#required.get(place) ?? new Set<number>();
    this.#required.delete(place);
    const complete = (index + 1) * tileWidth ** (level + 1) <= this.#publishedSize;
    if (complete) required.add(tileWidth);
    if (this.#broken) return;
    const whole = Buffer.concat(hashes);
    const { inventory } = this.#evidence;
    for (const width of union(required, inventory.widths(level, index))) {
      if (width > hashes.length) continue;
      await this.#compareTile({ level, index, width }, whole.subarray(0, width * hashBytes), required.has(width));
    }
    if (level > 0) return;
    for (const width of union(required, inventory.widths('entries', index))) {
      if (width <= hashes.length) await this.#compareBundle(index, width, required.has(width));
    }
  }

  async #compareTile(tile: { level: number; index: number; width: number }, expected: Buffer, required: boolean): Promise<void> {
    const file = tileKey(tile);
    const stored = await this.#read(file, required);
    if (stored === undefined) return;
    this.#evidence.counts.tiles += 1;
    if (expected.equals(stored)) return;
    const at = firstDifference(expected, stored);
    const leafIndex = (tile.index * tileWidth + Math.floor(at / hashBytes)) * tileWidth ** tile.level;
    this.#evidence.findings.add({
      code: 'Mismatch',
      file,
      leafIndex,
      message: `the tile is not what the entries hash to, from byte ${at} on; the first leaf under it is ${leafIndex}`,
    });
  }

  async #compareBundle(index: number, width: number, required: boolean): Promise<void> {
    const file = bundleKey({ index, width });
    const stored = await this.#read(file, required);
    if (stored === undefined) return;
    this.#evidence.counts.bundles += 1;
    const entries = this.#bundle.slice(0, width);
    const expected = encodeEntries(entries);
    if (expected.equals(stored)) return;
    const offset = entryAt(entries, firstDifference(expected, stored));
    const leafIndex = index * tileWidth + offset;
    this.#evidence.findings.add({
      code: 'Mismatch',
      file,
      leafIndex,
      entry: describeEntry(entries[offset] ?? new Uint8Array()),
      message: `the bundle is not what was sealed; the first bad leaf is ${leafIndex}`,
    });
  }

  async #read(file: string, required: boolean): Promise<Uint8Array | undefined> {
    const { inventory, findings, signal } = this.#evidence;
    const stored = await inventory.read(file, signal);
    if (stored === undefined && required) findings.add({ code: 'Missing', file, message: 'the file is missing' });
    return stored;
  }

  /** The first `count` entries of a bundle, from any stored width that holds them; what its tile denies is a finding. */
  async #storedEntries(index: number, count: number): Promise<StoredEntries | undefined> {
    const { inventory, findings, signal } = this.#evidence;
    const widths = inventory.widths('entries', index).filter((width) => width >= count);
    for (const width of widths.toSorted((a, b) => b - a)) {
      const file = bundleKey({ index, width });
      const stored = await inventory.read(file, signal);
      if (stored === undefined) continue;
      try {
        const entries = decodeBundle(stored, width);
        await this.#compareLeaves(entries, { index, width });
        return { entries: entries.slice(0, count), file };
      } catch (error) {
        findings.add({ code: 'BadContent', file, leafIndex: index * tileWidth, message: describeError(error) });
      }
    }
    return undefined;
  }

  async #compareLeaves(entries: readonly Uint8Array[], { index, width }: { index: number; width: number }): Promise<void> {
    const tile = { level: 0, index, width };
    const stored = await this.#evidence.inventory.read(tileKey(tile), this.#evidence.signal);
    if (stored === undefined || stored.length !== width * hashBytes) return;
    const offset = splitHashes(stored, tile).findIndex((hash, at) => !hash.equals(leafHash(entries[at] ?? new Uint8Array())));
    if (offset < 0) return;
    this.#evidence.findings.add({
      code: 'Mismatch',
      file: bundleKey({ index, width }),
      leafIndex: index * tileWidth + offset,
      entry: describeEntry(entries[offset] ?? new Uint8Array()),
      message: `the bundle and ${tileKey(tile)} disagree; the first bad leaf is ${index * tileWidth + offset}`,
    });
  }
}

function union(required: ReadonlySet<number>, stored: readonly number[]): number[] {
  return [...new Set([...required, ...stored])].sort((a, b) => a - b);
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at += 1) if (a[at] !== b[at]) return at;
  return end;
}

/** Which entry of a bundle the byte at `at` belongs to; bytes after the last belong to it. */
function entryAt(entries: readonly Uint8Array[], at: number): number {
  let end = 0;
  for (const [offset, entry] of entries.entries()) {
    end += 2 + entry.length;
    if (at < end) return offset;
  }
  return Math.max(0, entries.length - 1);
}

// What the entries and states say of their sources: positions only grow, and gaps are told.
import { formatLsn, type Lsn, parseLsn } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import { type Entry, parseEntry } from '../log/entry.ts';
import type { LogState } from '../log/log-state.ts';
import type { Findings } from './verdict.ts';

interface Place {
  readonly incarnation: number;
  readonly lsn: Lsn;
  readonly seq: number;
}

export interface LeafPlace {
  readonly leafIndex: number;
  /** The file it was read from. */
  readonly file: string;
}

export class SourceOrder {
  readonly #findings: Findings;
  readonly #entries = new Map<string, Place>();
  readonly #states = new Map<string, Place>();
  readonly #blobs = new Map<string, LeafPlace>();
  #gaps = 0;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  get gaps(): number {
    return this.#gaps;
  }

  /** Digests (hex) of blobs that entries named since the last call, and where. */
  takeBlobs(): [string, LeafPlace][] {
    const blobs = [...this.#blobs];
    this.#blobs.clear();
    return blobs;
  }

  /** Looks at one leaf; bytes that are no entry are left alone, since the tree commits to bytes. */
  entry(bytes: Uint8Array, at: LeafPlace): void {
    const entry = readable(bytes);
    if (entry === undefined) return;
    if (entry.type === 'gap' || entry.type === 'gap.rewound') this.#gaps += 1;
    for (const digest of blobsOf(entry)) this.#blobs.set(digest, at);
    const kind = entry.type.startsWith('row.') ? 'postgresql' : ofSnapshot(entry) ? 'baseline' : undefined;
    const place = kind === undefined ? undefined : placeOf(entry);
    if (place === undefined || entry.source === undefined) return;
    const source = `${kind}/${entry.source.system}/${entry.source.database}`;
    const last = this.#entries.get(source);
    if (last !== undefined && compare(place, last) <= 0) {
      this.#findings.add({
        code: 'SourceOrder',
        ...at,
        entry: describeEntry(bytes),
        message: `the position of the entry does not come after the one before it, ${formatPlace(last)}`,
      });
    }
    this.#entries.set(source, place);
  }

  /** Looks at the states after one journal object. */
  state(state: LogState, file: string): void {
    for (const [source, { position }] of state) {
      const last = this.#states.get(source);
      if (last !== undefined && compare(position, last) < 0) {
        this.#findings.add({ code: 'SourceOrder', file, message: `the sealed position of ${source} goes back from ${formatPlace(last)} to ${formatPlace(position)}` });
      }
      this.#states.set(source, position);
    }
  }

  /** What a digest record must say of its sources, as `name incarnation:lsn:seq`. */
  positions(): string[] {
    return [...this.#states].map(([name, place]) => `${name} ${formatPlace(place)}`).sort();
  }
}

/** `row.update public.orders at 1:0/16B3800:3`: enough to find it, and none of its values. */
export function describeEntry(bytes: Uint8Array): string {
  const entry = readable(bytes);
  if (entry === undefined) return 'an entry that cannot be read';
  const object = entry.object === undefined ? '' : ` ${entry.object.schema}.${entry.object.table}`;
  const place = placeOf(entry);
  return `${entry.type}${object}${place === undefined ? '' : ` at ${formatPlace(place)}`}`;
}

/** An entry names its blobs in a top-level array `blobs` of `sha256:<hex>`. */
function blobsOf(entry: Entry): string[] {
  const blobs = entry['blobs'];
  if (!Array.isArray(blobs)) return [];
  return blobs.flatMap((name: unknown) => (typeof name === 'string' && /^sha256:[0-9a-f]{64}$/.test(name) ? [name.slice('sha256:'.length)] : []));
}

function readable(bytes: Uint8Array): Entry | undefined {
  try {
    return parseEntry(bytes);
  } catch (error) {
    if (error instanceof RowsealError) return undefined;
    throw error;
  }
}

/** Entries of a snapshot are a source of their own: its LSN, and a running number. */
function ofSnapshot({ type }: Entry): boolean {
  return type === 'baseline' || type === 'gap.reconciled';
}

function placeOf(entry: Entry): Place | undefined {
  const { source } = entry;
  const lsn = ofSnapshot(entry) ? source?.lsn : source?.commitLsn;
  if (typeof lsn !== 'string' || typeof source?.seq !== 'number' || typeof source.incarnation !== 'number') return undefined;
  try {
    return { incarnation: source.incarnation, lsn: parseLsn(lsn), seq: source.seq };
  } catch (error) {
    if (error instanceof RowsealError) return undefined;
    throw error;
  }
}

function compare(a: Place, b: Place): number {
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation;
  if (a.lsn !== b.lsn) return a.lsn < b.lsn ? -1 : 1;
  return a.seq - b.seq;
}

export function formatPlace({ incarnation, lsn, seq }: Place): string {
  return `${incarnation}:${formatLsn(lsn)}:${seq}`;
}

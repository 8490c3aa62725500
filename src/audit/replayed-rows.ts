// The rows of tables as the log leaves them: by key, each with the position it comes from, since a baseline may stand behind later changes.
import type { Lsn } from '../model/branded.ts';
import { canonical } from './actor.ts';

/** Where in a source's history; a baseline or a reconciled row comes before the changes of a commit at its LSN. */
export interface ReplayPosition {
  readonly incarnation: number;
  readonly lsn: Lsn;
  readonly seq: number;
}

/** `json` is undefined for a row that was deleted: a row of before must not come back. */
interface Held {
  readonly json: string | undefined;
  readonly at: ReplayPosition;
}

/** One entry's effect. */
export interface RowEffect {
  /** Values of the key's columns as a JSON array in the order of their names. */
  readonly key: string;
  /** Undefined: deleted. Canonical JSON. */
  readonly row: string | undefined;
  /** Columns that the entry does not hold and that are as they were. */
  readonly unsent?: readonly string[];
  /** The key it had before, where that is another one. */
  readonly from?: string | undefined;
  readonly at: ReplayPosition;
}

/** Beside the texts themselves: entry of the map, object, position. */
const overheadBytes = 220;

export class ReplayedRows {
  readonly #rows = new Map<string, Held>();
  #bytes = 0;
  #emptied: ReplayPosition | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  apply({ key, row, unsent, from, at }: RowEffect): void {
    const before = this.#rows.get(from ?? key)?.json;
    if (from !== undefined && from !== key) this.#set(from, { json: undefined, at });
    this.#set(key, { json: row === undefined || unsent === undefined ? row : withUnsent(row, before, unsent), at });
  }

  truncate(at: ReplayPosition): void {
    this.#emptied = at;
    for (const [key, held] of this.#rows) if (comparePositions(held.at, at) < 0) this.#drop(key, held);
  }

  /** Takes a row out: what is left at the end was not asked for. */
  take(key: string): string | undefined {
    const held = this.#rows.get(key);
    if (held !== undefined) this.#drop(key, held);
    return held?.json;
  }

  *rest(): Generator<readonly [key: string, row: string]> {
    for (const [key, { json }] of this.#rows) if (json !== undefined) yield [key, json];
  }

  #set(key: string, held: Held): void {
    if (this.#emptied !== undefined && comparePositions(held.at, this.#emptied) < 0) return;
    const before = this.#rows.get(key);
    if (before !== undefined && comparePositions(held.at, before.at) < 0) return;
    if (before !== undefined) this.#bytes -= bytesOf(key, before);
    this.#rows.set(key, held);
    this.#bytes += bytesOf(key, held);
  }

  #drop(key: string, held: Held): void {
    this.#rows.delete(key);
    this.#bytes -= bytesOf(key, held);
  }
}

function bytesOf(key: string, { json = '' }: Held): number {
  return overheadBytes + key.length + json.length;
}

/** A column that was never seen stays absent, and is not compared. */
function withUnsent(row: string, before: string | undefined, unsent: readonly string[]): string {
  if (before === undefined) return row;
  const old = JSON.parse(before) as Record<string, unknown>;
  const kept = Object.fromEntries(unsent.flatMap((name) => (name in old ? [[name, old[name]]] : [])));
  return canonical({ ...kept, ...(JSON.parse(row) as object) });
}

export function comparePositions(a: ReplayPosition, b: ReplayPosition): number {
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation;
  if (a.lsn !== b.lsn) return a.lsn < b.lsn ? -1 : 1;
  return a.seq - b.seq;
}

// The rows of tables as the log leaves them: by key, each with the position it comes from, since a baseline may stand behind later changes.
import { type Lsn, zeroLsn } from '../model/branded.ts';
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
  /** Columns that its change did not send, and where the values that stand for them come from. */
  readonly kept?: ReadonlyMap<string, ReplayPosition>;
  /** When it got this key, if it had another one before. */
  readonly since?: ReplayPosition | undefined;
  /** Keys that rows of this key went on under, oldest first. */
  readonly moves?: readonly { readonly to: string; readonly at: ReplayPosition }[];
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
/** Of one key; beyond it a column that was left out stays unknown, and is not compared. */
const maxMoves = 1_000;

export class ReplayedRows {
  readonly #rows = new Map<string, Held>();
  #bytes = 0;
  #emptied: ReplayPosition | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  apply({ key, row, unsent, from = key, at }: RowEffect): void {
    const before = this.#rows.get(from);
    if (before !== undefined && comparePositions(at, before.at) < 0) {
      if (row !== undefined) this.#fill(from, row, at);
      return;
    }
    if (from !== key) this.#set(from, { json: undefined, at, moves: [...(before?.moves ?? []), { to: key, at }].slice(-maxMoves) });
    const since = from === key ? before?.since : at;
    this.#set(key, row === undefined || unsent === undefined ? { json: row, at } : { ...withUnsent(row, before, unsent), at, since });
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

  /** A row of before, such as a baseline's, that stands behind a change which left columns out: their values are the earlier row's. */
  #fill(key: string, row: string, at: ReplayPosition): void {
    const values = JSON.parse(row) as Record<string, unknown>;
    for (let now = { to: key, at }; ; ) {
      const held = this.#rows.get(now.to);
      const move = held?.moves?.find((one) => comparePositions(one.at, now.at) > 0);
      if (move !== undefined) now = move;
      else {
        const same = held?.since === undefined || comparePositions(held.since, now.at) <= 0;
        if (same && held?.json !== undefined && held.kept !== undefined) this.#put(now.to, filled(held, values, at));
        return;
      }
    }
  }

  #set(key: string, held: Held): void {
    if (this.#emptied !== undefined && comparePositions(held.at, this.#emptied) < 0) return;
    const before = this.#rows.get(key);
    if (before === undefined || comparePositions(held.at, before.at) >= 0) this.#put(key, held);
  }

  #put(key: string, held: Held): void {
    const before = this.#rows.get(key);
    if (before !== undefined) this.#bytes -= bytesOf(key, before);
    const moves = held.moves ?? before?.moves;
    this.#rows.set(key, moves === undefined ? held : { ...held, moves });
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

const unknown: ReplayPosition = { incarnation: 0, lsn: zeroLsn, seq: -1 };

/** A column that was never seen stays absent, and is not compared. */
function withUnsent(row: string, before: Held | undefined, unsent: readonly string[]): Pick<Held, 'json' | 'kept'> {
  const old = JSON.parse(before?.json ?? '{}') as Record<string, unknown>;
  const kept = new Map(unsent.map((name) => [name, before?.kept?.get(name) ?? before?.at ?? unknown]));
  const values = Object.fromEntries(unsent.flatMap((name) => (name in old ? [[name, old[name]]] : [])));
  return { json: canonical({ ...values, ...(JSON.parse(row) as object) }), kept };
}

function filled(held: Held, values: Record<string, unknown>, at: ReplayPosition): Held {
  const row = JSON.parse(held.json ?? '{}') as Record<string, unknown>;
  const kept = new Map(held.kept);
  for (const [name, from] of held.kept ?? []) {
    if (!(name in values) || comparePositions(from, at) > 0) continue;
    row[name] = values[name];
    kept.set(name, at);
  }
  return { ...held, json: canonical(row), kept };
}

export function comparePositions(a: ReplayPosition, b: ReplayPosition): number {
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation;
  if (a.lsn !== b.lsn) return a.lsn < b.lsn ? -1 : 1;
  return a.seq - b.seq;
}

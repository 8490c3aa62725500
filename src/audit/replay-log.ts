// Reads the sealed log into the rows that tables must have at a point of the WAL (DESIGN §5, Slots, On loss).
import { type Entry, parseEntry } from '../log/entry.ts';
import { type Lsn, parseLsn } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import type { ConfiguredColumns } from '../model/audited-columns.ts';
import type { ConfiguredTable } from '../ports/audit-database.ts';
import type { LogWriter } from '../ports/log-writer.ts';
import { canonical } from './actor.ts';
import { comparePositions, ReplayedRows, type ReplayPosition, type RowEffect } from './replayed-rows.ts';

/** A table whose rows are wanted, from its last whole baseline on. */
interface ReplayedTable {
  readonly oid: number;
  readonly base: { readonly incarnation: number; readonly lsn: Lsn };
  /** Columns of the primary key, sorted. */
  readonly key: readonly string[];
  /** How values are written now, see `treatedAs`. */
  readonly treated: string;
}

export interface ReplayRequest {
  readonly writer: LogWriter;
  readonly system: string;
  readonly database: string;
  readonly tables: readonly ReplayedTable[];
  /** Changes whose commit starts here or later do not count. */
  readonly upTo: { readonly incarnation: number; readonly lsn: Lsn };
  /** Only keys of this share of all: a log whose rows do not fit memory is read once for each share. */
  readonly share: { readonly index: number; readonly count: number };
  readonly maxBytes: number;
}

export type ReplayOutcome =
  | { readonly kind: 'rows'; readonly rows: ReadonlyMap<number, ReplayedRows> }
  | { readonly kind: 'tooLarge' }
  /** The log does not say all that happened to this table. */
  | { readonly kind: 'unknown'; readonly oid: number; readonly why: string };

/** Entries of incarnations before `incarnation` at or after `lsn` never happened on the server that goes on. */
interface Rewind {
  readonly incarnation: number;
  readonly lsn: Lsn;
}

/** Throws what reading the log throws. */
export async function replayLog(request: ReplayRequest, signal: AbortSignal): Promise<ReplayOutcome> {
  const rewinds: Rewind[] = [];
  for (;;) {
    const replay = new Replay(request, rewinds);
    const known = rewinds.length;
    const outcome = await replay.run(signal);
    // What was superseded is only known from an entry behind it, so the log is read again without it.
    if (rewinds.length === known) return outcome;
  }
}

/** Which columns are not written as they are, and how: values of other treatments cannot be compared. */
export function treatedAs(columns: Pick<ConfiguredColumns, 'treated' | 'rest'> | undefined): string {
  const { treated = [], rest } = columns ?? {};
  return treated.length === 0 && rest === undefined ? '' : canonical({ rest: rest ?? null, treated });
}

/** Which share a key is in. */
export function shareOf(key: string, count: number): number {
  if (count === 1) return 0;
  // FNV-1a over UTF-16 units: spread is all that is asked of it.
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % count;
}

/** Values of the key as one text, whatever the order of the columns in the JSON. */
export function keyText(key: object, names: readonly string[]): string | undefined {
  const values = names.map((name): unknown => (key as Record<string, unknown>)[name]);
  return values.includes(undefined) ? undefined : JSON.stringify(values);
}

const marks = [Buffer.from('"type":"relation"'), Buffer.from('"type":"gap.rewound"'), Buffer.from('"type":"audit.')];
const tailBytes = 40;
const treatedOtherwise = 'columns were omitted, hashed or redacted in another way since its baseline';
const unmoved = [Buffer.from('"type":"row.insert"'), Buffer.from('"type":"row.delete"'), Buffer.from('"type":"baseline"')];
const keyStart = Buffer.from('"object":{"key":{');
const keyEnd = Buffer.from('},"relation":"sha256:');

class Replay {
  readonly #request: ReplayRequest;
  readonly #rewinds: Rewind[];
  readonly #tables: ReadonlyMap<number, ReplayedTable>;
  readonly #rows: ReadonlyMap<number, ReplayedRows>;
  /** By the digest that their rows name, which only a `relation` entry gives an OID. */
  readonly #oids = new Map<string, number>();
  /** As of the last configuration before the baseline. */
  readonly #treatedBefore = new Map<number, string>();
  #unknown: Extract<ReplayOutcome, { kind: 'unknown' }> | undefined;

  constructor(request: ReplayRequest, rewinds: Rewind[]) {
    this.#request = request;
    this.#rewinds = rewinds;
    this.#tables = new Map(request.tables.map((table) => [table.oid, table]));
    this.#rows = new Map(request.tables.map((table) => [table.oid, new ReplayedRows()]));
  }

  async run(signal: AbortSignal): Promise<ReplayOutcome> {
    const { writer, maxBytes } = this.#request;
    const known = this.#rewinds.length;
    let count = 0;
    for await (const { entry } of writer.sealed?.(0, signal) ?? []) {
      count += 1;
      if (!this.#concerns(entry) || this.#isOfAnotherShare(entry)) continue;
      await this.#apply(parseEntry(entry), signal);
      if (this.#unknown !== undefined) return this.#unknown;
      if (this.#rewinds.length > known) return { kind: 'tooLarge' };
      if (count % 64 === 0 && this.#bytes() > maxBytes) return { kind: 'tooLarge' };
    }
    return this.#bytes() > maxBytes ? { kind: 'tooLarge' } : { kind: 'rows', rows: this.#rows };
  }

  #bytes(): number {
    let bytes = 0;
    for (const rows of this.#rows.values()) bytes += rows.bytes;
    return bytes;
  }

  /** Cheap, since most entries of a log are of other tables. */
  #concerns(entry: Uint8Array): boolean {
    const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength);
    // Canonical JSON ends with type and version.
    const tail = bytes.subarray(-tailBytes);
    if (marks.some((mark) => tail.includes(mark))) return true;
    for (const digest of this.#oids.keys()) if (bytes.includes(digest, 0, 'latin1')) return true;
    return false;
  }

  /** Known without reading all of it, where a row's key cannot have been another one before. */
  #isOfAnotherShare(entry: Uint8Array): boolean {
    const { tables, share } = this.#request;
    const [only] = tables;
    if (share.count === 1 || only === undefined || tables.length > 1) return false;
    const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength);
    const tail = bytes.subarray(-tailBytes);
    if (!unmoved.some((mark) => tail.includes(mark))) return false;
    // Nothing that anybody wrote comes behind `object` but names, and a quote within a text is escaped.
    const start = bytes.lastIndexOf(keyStart);
    const end = start < 0 ? -1 : bytes.indexOf(keyEnd, start);
    if (end < 0) return false;
    const text = keyText(JSON.parse(bytes.toString('utf8', start + keyStart.length - 1, end + 1)) as object, only.key);
    return text !== undefined && shareOf(text, share.count) !== share.index;
  }

  async #apply(entry: Entry, signal: AbortSignal): Promise<void> {
    if (entry.source?.system !== this.#request.system || entry.source.database !== this.#request.database) return;
    const at = positionOf(entry);
    if (entry.type === 'relation') this.#learn(entry, { at, relation: await this.#whole(entry['relation'], signal) });
    else if (entry.type === 'gap.rewound') this.#rewound(entry);
    else if (entry.type === 'audit.start' || entry.type === 'audit.config') this.#configured(await this.#whole(entry['configuration'], signal), at);
    else {
      const table = this.#tables.get(this.#oids.get(entry.object?.relation ?? '') ?? -1);
      if (table !== undefined && at !== undefined && this.#counts(table, at)) await this.#applyRow(table, { entry, at }, signal);
    }
  }

  #counts({ base }: ReplayedTable, at: ReplayPosition): boolean {
    const { upTo } = this.#request;
    if (comparePositions(at, { ...base, seq: -1 }) < 0 || comparePositions(at, { ...upTo, seq: -1 }) >= 0) return false;
    return !this.#rewinds.some((rewind) => at.incarnation < rewind.incarnation && at.lsn >= rewind.lsn);
  }

  #learn(entry: Entry, { at, relation }: { readonly at: ReplayPosition | undefined; readonly relation: unknown }): void {
    const { oid, key } = (relation ?? {}) as { readonly oid?: number; readonly key?: readonly string[] };
    const table = this.#tables.get(oid ?? -1);
    if (table === undefined || entry.object?.relation === undefined) return;
    this.#oids.set(entry.object.relation, table.oid);
    const differs = key === undefined || JSON.stringify([...key].sort()) !== JSON.stringify(table.key);
    if (differs && at !== undefined && this.#counts(table, at)) this.#unknown = { kind: 'unknown', oid: table.oid, why: 'the key of the table changed' };
  }

  #rewound(entry: Entry): void {
    const { survived } = (entry['gap'] ?? {}) as { readonly survived?: string | null };
    const incarnation = entry.source?.incarnation ?? 0;
    const before = this.#request.tables.filter(({ base }) => base.incarnation < incarnation);
    if (this.#rewinds.some((known) => known.incarnation === incarnation) || before[0] === undefined) return;
    const lsn = typeof survived === 'string' ? parseLsn(survived) : undefined;
    const superseded = lsn === undefined ? before[0] : before.find(({ base }) => base.lsn >= lsn);
    if (lsn === undefined || superseded !== undefined) {
      this.#unknown = { kind: 'unknown', oid: (superseded ?? before[0]).oid, why: 'the server went back to before the baseline, or it is not known to where' };
    } else this.#rewinds.push({ incarnation, lsn });
  }

  /** A table that is not captured for a while gets a gap when it comes back; of one that is captured in part nothing tells what is missing. */
  #configured(configuration: unknown, at: ReplayPosition | undefined): void {
    const { tables = [] } = (configuration ?? {}) as { readonly tables?: readonly Pick<ConfiguredTable, 'oid' | 'operations' | 'columns'>[] };
    for (const { oid, operations, columns } of tables) {
      const table = this.#tables.get(oid);
      if (table === undefined || at === undefined) continue;
      if (!this.#counts(table, at)) this.#treatedBefore.set(oid, treatedAs(columns));
      else if (operations.length < 4) this.#unknown = { kind: 'unknown', oid, why: 'not all operations were recorded since its baseline' };
      else if (treatedAs(columns) !== table.treated) this.#unknown = { kind: 'unknown', oid, why: treatedOtherwise };
    }
  }

  async #applyRow(table: ReplayedTable, { entry, at }: { readonly entry: Entry; readonly at: ReplayPosition }, signal: AbortSignal): Promise<void> {
    const rows = this.#rows.get(table.oid);
    if (rows === undefined) return;
    if ((this.#treatedBefore.get(table.oid) ?? table.treated) !== table.treated) {
      this.#unknown = { kind: 'unknown', oid: table.oid, why: treatedOtherwise };
      return;
    }
    if (entry.type === 'row.truncate') {
      rows.truncate(at);
      return;
    }
    // A baseline that was begun again, or is no longer the last one.
    if (entry.type === 'baseline' && comparePositions(at, { ...table.base, seq: -1 }) !== 0) return;
    const effect = await this.#effectOf(table, { entry, at }, signal);
    if (effect === 'nothing') return;
    if (effect === undefined) {
      this.#unknown = { kind: 'unknown', oid: table.oid, why: 'a change in the log does not say of which row it is' };
      return;
    }
    for (const part of this.#inShare(effect)) rows.apply(part);
  }

  async #effectOf(table: ReplayedTable, { entry, at }: { readonly entry: Entry; readonly at: ReplayPosition }, signal: AbortSignal): Promise<RowEffect | 'nothing' | undefined> {
    const change = (await this.#whole(entry['change'], signal)) as { readonly before?: object; readonly after?: object; readonly unsent?: readonly string[] } | undefined;
    if (change === undefined) return 'nothing';
    const object = (await this.#whole(entry.object?.key, signal)) as object | undefined;
    const key = keyText(object ?? {}, table.key);
    if (key === undefined) return undefined;
    const { before, after, unsent } = change;
    const from = before === undefined ? undefined : keyText(before, table.key);
    return { key, row: after === undefined ? undefined : JSON.stringify(after), ...(unsent === undefined ? {} : { unsent }), from, at };
  }

  /** A row that changed its key may come from another share than it goes to. */
  #inShare(effect: RowEffect): RowEffect[] {
    const { index, count } = this.#request.share;
    const { key, from, at } = effect;
    if (shareOf(key, count) === index) return [effect];
    const left = from !== undefined && from !== key && shareOf(from, count) === index;
    return left ? [{ key: from, row: undefined, at }] : [];
  }

  /** What an entry holds, or the payload that it names in its place. */
  async #whole(value: unknown, signal: AbortSignal): Promise<unknown> {
    if (typeof value !== 'object' || value === null || !('blob' in value) || typeof value.blob !== 'string' || !('bytes' in value) || typeof value.bytes !== 'number') return value;
    if (!/^sha256:[0-9a-f]{64}$/.test(value.blob)) return value;
    const bytes = await this.#request.writer.blob?.(value.blob.slice('sha256:'.length), signal);
    if (bytes === undefined) throw new RowsealError('LogInconsistent', 'a payload that an entry names is missing', { object: value.blob, next: 'run rowseal verify' });
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  }
}

/** Baselines and reconciled gaps hold at their LSN, before the changes of a commit that starts there. */
function positionOf({ type, source }: Entry): ReplayPosition | undefined {
  const snapshot = type === 'baseline' || type === 'gap.reconciled' || source?.commitLsn === undefined;
  const lsn = snapshot ? source?.lsn : source?.commitLsn;
  if (lsn === undefined || source?.incarnation === undefined) return undefined;
  return { incarnation: source.incarnation, lsn: parseLsn(lsn), seq: snapshot ? -1 : (source.seq ?? 0) };
}

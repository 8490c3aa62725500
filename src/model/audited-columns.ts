// Columns whose values are left out of the log, hashed or redacted: as declared, as found in the catalog, as applied to rows.
// In doubt a value is redacted: a renamed or moved column lets nothing out.

/** From the laxest to the strictest. */
export type ColumnMode = 'hash' | 'redact' | 'omit';

const strictness: Readonly<Record<ColumnMode, number>> = { hash: 0, redact: 1, omit: 2 };

/** The one that lets less out; the first of equals. */
export function stricter<C extends { readonly mode: ColumnMode }>(a: C, b: C): C {
  return strictness[b.mode] > strictness[a.mode] ? b : a;
}

/** A column as AuditPolicies declare it; with several, the strictest mode. */
export interface DeclaredColumn {
  readonly column: string;
  readonly mode: ColumnMode;
  /** Names the key of `hash` without revealing it. */
  readonly keyId?: string;
}

/** By attribute number, since names change: a renamed column stays what it is. */
export interface ConfiguredColumns {
  /** Attribute numbers of the columns that the stream sends, in its order. */
  readonly live: readonly number[];
  /** The highest attribute number that the table ever used. */
  readonly last: number;
  /** `column` is the declared name. */
  readonly treated: readonly (DeclaredColumn & { readonly attnum: number })[];
  /** Set where a declared column was never found: which one was meant is not known, so all of them are redacted. */
  readonly rest?: 'redact';
}

/** What a table's columns are at some later instant. */
export type PresentColumns = Pick<ConfiguredColumns, 'live' | 'last'>;

/** The same with the names of the live ones. */
export interface NamedColumns extends PresentColumns {
  readonly names: readonly string[];
}

export type ColumnTreatment = { readonly mode: 'omit' } | { readonly mode: 'redact' } | { readonly mode: 'hash'; readonly keyId: string; readonly key: Uint8Array };

/** Whether nothing comparable is written of a value. */
export function hidesValue(treatment: ColumnTreatment | undefined): boolean {
  return treatment !== undefined && treatment.mode !== 'hash';
}

/** Keys of `hash` by their id; secrets that stay in the process. */
export type HashKeys = ReadonlyMap<string, Uint8Array>;

const redact: ColumnTreatment = { mode: 'redact' };

/**
 * Attribute number by position in a relation message of so many columns; undefined where that is not certain. The message tells
 * names only, but attribute numbers are sent in their order and never used twice. `present` was read after the relation was
 * described, the configuration before it; without `present` the table is as the configuration says.
 */
export function attributesOf(count: number, { live, last }: ConfiguredColumns, present: PresentColumns | undefined): readonly (number | undefined)[] {
  const doubtful = Array.from<number | undefined>({ length: count });
  if (present === undefined) return count === live.length ? live : doubtful;
  const remaining = new Set(present.live);
  const gone = live.filter((attnum) => !remaining.has(attnum));
  const born = present.live.filter((attnum) => attnum > last);
  // A new column that is gone again, or one that is not sent, could stand anywhere behind the others.
  const bornAndGone = present.last - last > born.length;
  if (gone.length === 0 && !bornAndGone) return count >= live.length && count <= live.length + born.length ? [...live, ...born].slice(0, count) : doubtful;
  if (gone.length > 0 && present.last === last) {
    if (count === live.length) return live;
    if (count === live.length - gone.length) return live.filter((attnum) => remaining.has(attnum));
  }
  const certain = gone.length === 0 ? live.length : live.indexOf(gone[0] ?? 0);
  return doubtful.map((_unknown, position) => (position < certain ? live[position] : undefined));
}

/** By position; undefined is a column whose values are recorded as they are. */
export function treatmentsOf(attributes: readonly (number | undefined)[], columns: ConfiguredColumns, keys: HashKeys): readonly (ColumnTreatment | undefined)[] {
  const treated = new Map(columns.treated.map((column) => [column.attnum, column]));
  return attributes.map((attnum) => {
    if (attnum === undefined) return redact;
    const declared = treated.get(attnum);
    if (declared === undefined) return columns.rest === 'redact' ? redact : undefined;
    if (declared.mode !== 'hash') return { mode: declared.mode };
    const { keyId = '' } = declared;
    const key = keys.get(keyId);
    // The key of an older configuration may be gone; its values stay unread then.
    return key === undefined ? redact : { mode: 'hash', keyId, key };
  });
}

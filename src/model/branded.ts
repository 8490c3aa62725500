// Numbers that must not be mixed up: LSNs, tree sizes and leaf indexes.
import { RowsealError } from './errors.ts';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A PostgreSQL log sequence number as an unsigned 64-bit integer. */
export type Lsn = Branded<bigint, 'Lsn'>;
/** How many leaves a tree has; one more than its last leaf index. */
export type TreeSize = Branded<number, 'TreeSize'>;
/** A leaf's position in the tree, from 0. */
export type LeafIndex = Branded<number, 'LeafIndex'>;

export const zeroLsn = 0n as Lsn;

export function lsn(value: bigint): Lsn {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RowsealError('BadLogData', `LSN out of range: ${value}`);
  return value as Lsn;
}

/** Parses PostgreSQL's `16/B374D848` form. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) throw new RowsealError('BadLogData', `not a PostgreSQL LSN: ${JSON.stringify(text)}`);
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** PostgreSQL's own form, `16/B374D848`. */
export function formatLsn(value: Lsn): string {
  return `${(value >> 32n).toString(16).toUpperCase()}/${(value & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

export function treeSize(value: number): TreeSize {
  if (!Number.isSafeInteger(value) || value < 0) throw new RowsealError('BadLogData', `not a tree size: ${value}`);
  return value as TreeSize;
}

export function leafIndex(value: number): LeafIndex {
  if (!Number.isSafeInteger(value) || value < 0) throw new RowsealError('BadLogData', `not a leaf index: ${value}`);
  return value as LeafIndex;
}

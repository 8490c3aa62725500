// C2SP tlog-tiles: names and widths of tiles and bundles, and where in them a subtree's hash is.
import { RowsealError } from '../model/errors.ts';
import { hashBytes, rootOfHashes } from './merkle.ts';
import type { SubtreeId } from './proof.ts';

export const tileWidth = 256;
const maxLevel = 7;

/** One tile; `width` is 256 for a full one. The bundle of the same index and width goes with a tile of level 0. */
export interface TileId {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** `tile/<L>/<N>[.p/<W>]`. */
export function tileKey({ level, index, width }: TileId): string {
  return `tile/${level}/${groups(index)}${width === tileWidth ? '' : `.p/${width}`}`;
}

/** `tile/entries/<N>[.p/<W>]`. */
export function bundleKey({ index, width }: Pick<TileId, 'index' | 'width'>): string {
  return `tile/entries/${groups(index)}${width === tileWidth ? '' : `.p/${width}`}`;
}

export type TileKey = ({ readonly kind: 'tile' } & TileId) | { readonly kind: 'bundle'; readonly index: number; readonly width: number };

/** The inverse of `tileKey` and `bundleKey`; undefined for every other spelling. */
export function parseTileKey(key: string): TileKey | undefined {
  const match = /^tile\/(\d{1,2}|entries)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(key);
  if (!match) return undefined;
  const [, place = '', path = '', partial] = match;
  const index = Number(path.replaceAll(/[x/]/g, ''));
  const width = partial === undefined ? tileWidth : Number(partial);
  if (!Number.isSafeInteger(index) || width < 1 || (partial !== undefined && width >= tileWidth)) return undefined;
  const parsed: TileKey = place === 'entries' ? { kind: 'bundle', index, width } : { kind: 'tile', level: Number(place), index, width };
  return (parsed.kind === 'tile' ? tileKey(parsed) : bundleKey(parsed)) === key ? parsed : undefined;
}

/** How many hashes tile `index` of `level` has in a tree of `size` leaves: 0 when it is not there, 256 when full. */
export function widthOf(level: number, index: number, size: number): number {
  return Math.min(tileWidth, Math.max(0, Math.floor(size / tileWidth ** level) - index * tileWidth));
}

/** The partial tiles of a tree of `size` leaves, one a level at most, lowest level first. */
export function partialTiles(size: number): TileId[] {
  const tiles: TileId[] = [];
  for (let level = 0; level <= maxLevel && size >= tileWidth ** level; level += 1) {
    const count = Math.floor(size / tileWidth ** level);
    if (count % tileWidth > 0) tiles.push({ level, index: Math.floor(count / tileWidth), width: count % tileWidth });
  }
  return tiles;
}

/** The full tiles that a tree of `to` leaves has and one of `from` has not, lowest level first. */
function newFullTiles(from: number, to: number): TileId[] {
  const tiles: TileId[] = [];
  for (let level = 0; level <= maxLevel && to >= tileWidth ** (level + 1); level += 1) {
    const span = tileWidth ** (level + 1);
    for (let index = Math.floor(from / span); index < Math.floor(to / span); index += 1) tiles.push({ level, index, width: tileWidth });
  }
  return tiles;
}

/** Everything that publishing a tree of `to` leaves after one of `from` needs: its new full tiles, then its partial ones. */
export function tilesForGrowth(from: number, to: number): TileId[] {
  return [...newFullTiles(from, to), ...partialTiles(to)];
}

/** Where the hash of a complete subtree is: neighbours `first` to `first + count` of a tile, hashed together. */
export interface HashPlace {
  readonly tile: TileId;
  readonly first: number;
  readonly count: number;
}

/** Throws BadUsage when the subtree is not complete in a tree of `size` leaves. */
export function placeOf(subtree: SubtreeId, size: number): HashPlace {
  const level = Math.floor(subtree.height / 8);
  const count = 2 ** (subtree.height % 8);
  const start = subtree.index * count;
  const index = Math.floor(start / tileWidth);
  const tile: TileId = { level, index, width: widthOf(level, index, size) };
  const first = start - index * tileWidth;
  if (first + count > tile.width) throw new RowsealError('BadUsage', `a tree of ${size} entries has no complete subtree there`);
  return { tile, first, count };
}

/** The hash at a place of a tile's bytes. Throws BadLogData when the tile is too short. */
export function hashAt(place: HashPlace, tile: Uint8Array): Buffer {
  return rootOfHashes(splitHashes(tile, place.tile).slice(place.first, place.first + place.count));
}

/** The hashes of one tile. Throws BadLogData when it has not exactly `width` of them. */
export function splitHashes(bytes: Uint8Array, tile: TileId): Buffer[] {
  if (bytes.length !== tile.width * hashBytes) {
    throw new RowsealError('BadLogData', `${tileKey(tile)} has ${bytes.length} bytes instead of ${tile.width * hashBytes}`, { object: tileKey(tile) });
  }
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: tile.width }, (_, index) => whole.subarray(index * hashBytes, (index + 1) * hashBytes));
}

/** 1234067 as `x001/x234/067`. */
function groups(index: number): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const parts = padded.match(/\d{3}/g) ?? [];
  return parts.map((part, at) => (at < parts.length - 1 ? `x${part}` : part)).join('/');
}

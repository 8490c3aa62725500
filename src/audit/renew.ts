// Keeps journal objects and partial tiles locked while no full object covers them (DESIGN §6, Retention).
import { journalKey, openJournal } from '../log/journal.ts';
import { bundleKey, partialTiles, tileKey, tileWidth } from '../log/tile.ts';
import type { SealContext } from './seal.ts';
import { inconsistent, trusted } from './stored.ts';

/** What is published and sealed when the renewal begins. */
export interface RenewalRange {
  readonly publishedSize: number;
  readonly lastJournal: number;
}

/** Extends every uncovered object to `uncoveredDays` from now; returns how many there were. */
export async function renewUncovered({ publishedSize, lastJournal }: RenewalRange, context: SealContext, signal: AbortSignal): Promise<number> {
  const keys = await uncoveredPartials(publishedSize, context);
  const coveredSize = Math.floor(publishedSize / tileWidth) * tileWidth;
  for (let number = await firstUncovered(coveredSize, lastJournal, context); number <= lastJournal; number += 1) keys.push(journalKey(number));
  for (const key of keys) {
    signal.throwIfAborted();
    await context.files.extend(key, 'uncovered');
  }
  return keys.length;
}

/** Every partial of the tiles that are partial still: a checkpoint of each of their sizes was published. */
async function uncoveredPartials(size: number, { files }: SealContext): Promise<string[]> {
  const keys: string[] = [];
  for (const tile of partialTiles(size)) {
    const full = { ...tile, width: tileWidth };
    keys.push(...(await files.keys(`${tileKey(full)}.p/`)));
    if (tile.level === 0) keys.push(...(await files.keys(`${bundleKey(full)}.p/`)));
  }
  return keys;
}

/** Sizes grow with the numbers, so a few headers tell; the last object is never covered, since recovery begins with it. */
async function firstUncovered(coveredSize: number, lastJournal: number, context: SealContext): Promise<number> {
  let low = 1;
  let high = Math.max(1, lastJournal);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isCovered(middle, coveredSize, context)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** An object that is gone had expired, which only covered ones may. */
async function isCovered(number: number, coveredSize: number, { files, origin, key }: SealContext): Promise<boolean> {
  const bytes = await files.read(journalKey(number));
  if (bytes === undefined) return true;
  const object = trusted(files.name(journalKey(number)), () => openJournal(bytes, origin, [key.verifier]));
  if (object.number !== number) throw inconsistent(`this is journal object ${object.number}`, files.name(journalKey(number)));
  return object.sizeAfter <= coveredSize;
}

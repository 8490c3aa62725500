// The listed files of a numbered chain, in order.
import type { Inventory } from './inventory.ts';

export interface NumberedFile {
  readonly number: number;
  readonly file: string;
  readonly bytes: Uint8Array;
}

export interface NumberedFolder {
  readonly inventory: Inventory;
  /** Listed numbers, ascending. */
  readonly numbers: readonly number[];
  readonly keyOf: (number: number) => string;
}

/** A hostile log may name any number; holes are named file by file only up to this many. */
export const maxMissingNamed = 20;

/** Holes are skipped: who reads sees them in the numbers. */
export async function* numberedFiles({ inventory, numbers, keyOf }: NumberedFolder, signal: AbortSignal): AsyncGenerator<NumberedFile, undefined> {
  for (const number of numbers) {
    const bytes = await inventory.read(keyOf(number), signal);
    if (bytes !== undefined) yield { number, file: keyOf(number), bytes };
  }
}

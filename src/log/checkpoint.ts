// C2SP tlog-checkpoint: a signed tree head of three lines, without extension lines, under a key named as the origin.
import { treeSize, type TreeSize } from '../model/branded.ts';
import { RowsealError } from '../model/errors.ts';
import { decodeHash, encodeBase64 } from './base64.ts';
import type { SigningKey, VerifierKey } from './keys.ts';
import { openNote, signNote } from './note.ts';

export interface Checkpoint {
  readonly origin: string;
  readonly size: TreeSize;
  readonly root: Uint8Array;
}

/** The only mutable key of a log. */
export const checkpointKey = 'checkpoint';

/** `checkpoints/<tree size>`. */
export function publishedCheckpointKey(size: TreeSize): string {
  return `checkpoints/${size}`;
}

/** The same bytes for the same tree head, always: Ed25519 is deterministic and no time stands in it. */
export async function signCheckpoint({ origin, size, root }: Checkpoint, key: SigningKey): Promise<Uint8Array> {
  return signNote(`${origin}\n${size}\n${encodeBase64(root)}\n`, [key]);
}

/** Attacker-controlled input. Throws BadNote for signatures, BadLogData for another origin or a malformed text. */
export function openCheckpoint(bytes: Uint8Array, origin: string, keys: readonly VerifierKey[]): Checkpoint {
  return parseCheckpoint(openNote(bytes, keys).text, origin);
}

function parseCheckpoint(text: string, origin: string): Checkpoint {
  const [first = '', size = '', root = '', ...rest] = text.slice(0, -1).split('\n');
  if (first !== origin) throw new RowsealError('BadLogData', `a checkpoint of ${JSON.stringify(first)} instead of ${origin}`);
  if (rest.length > 0 || !/^(0|[1-9]\d{0,15})$/.test(size)) throw new RowsealError('BadLogData', 'a checkpoint must have exactly origin, size and root');
  return { origin, size: treeSize(Number(size)), root: decodeHash(root) };
}

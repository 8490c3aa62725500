// A second reading of the log by code that shares nothing with ours: raw bundle files, and RFC 6962's own recursion.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Files, sampleLog } from './sample-log.ts';

const sha = (...parts: Uint8Array[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** MTH of RFC 6962 §2.1. */
function rootOf(leaves: readonly Uint8Array[]): Buffer {
  const [only] = leaves;
  if (only === undefined) return sha();
  if (leaves.length === 1) return sha(Buffer.of(0), only);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha(Buffer.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

function leavesOf(files: Files, size: number): Buffer[] {
  const leaves: Buffer[] = [];
  for (let index = 0; leaves.length < size; index += 1) {
    const width = Math.min(256, size - index * 256);
    const name = `tile/entries/${String(index).padStart(3, '0')}${width === 256 ? '' : `.p/${width}`}`;
    const bundle = files.get(name);
    if (bundle === undefined) throw new Error(`${name} is missing`);
    for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) leaves.push(bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at)));
  }
  return leaves;
}

describe('the root of a log', () => {
  it.each([1, 2, 255, 256, 257, 1_000, 5_000])('at %i entries is what its bundles hash to', async (size) => {
    const files = await sampleLog({ publications: [[size]] });
    const [, said, root] = (files.get('checkpoint') ?? Buffer.alloc(0)).toString().split('\n');
    expect(said).toBe(String(size));
    expect(root).toBe(rootOf(leavesOf(files, size)).toString('base64'));
  });
});

// Notes, keys, checkpoints, journal objects, digest records, bundles and entries: vectors, round trips, and every changed byte.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBundle, decodeEntries, encodeEntries } from '../../src/log/bundle.ts';
import { openCheckpoint, signCheckpoint } from '../../src/log/checkpoint.ts';
import { type DigestRecord, openDigest, signDigest } from '../../src/log/digest.ts';
import { encodeEntry, parseEntry } from '../../src/log/entry.ts';
import { type JournalHeader, noPrevious, openJournal, signJournal } from '../../src/log/journal.ts';
import { compressJournalBody, decodeJournalBody } from '../../src/log/journal-body.ts';
import { generateSigningKey, parseSigningKey, parseVerifierKey } from '../../src/log/keys.ts';
import { encodeLogState } from '../../src/log/log-state.ts';
import { emptyRoot, sha256, sha256Hex } from '../../src/log/merkle.ts';
import type { SourceState } from '../../src/log/source-state.ts';
import { formatNote, openNote, parseNote, signNote } from '../../src/log/note.ts';
import { lsn, treeSize } from '../../src/model/branded.ts';
import { batchOf, origin, signing, source, stateAfter } from '../parts/log-workload.ts';

const { key } = signing;
const keys = [key.verifier];
const codes = { code: expect.stringMatching(/^(BadNote|BadLogData)$/) };

/** Every byte with one bit flipped, with all bits flipped, one byte less, one more: none may be accepted. */
function expectCovered(bytes: Uint8Array, open: (bytes: Uint8Array) => unknown): void {
  for (let at = 0; at < bytes.length; at += 1) {
    for (const mask of [1 << (at % 8), 0xff, 0x20]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ mask;
      expect(() => open(changed), `byte ${at} mask ${mask}`).toThrow(expect.objectContaining(codes));
    }
  }
  expect(() => open(bytes.subarray(0, -1))).toThrow(expect.objectContaining(codes));
  expect(() => open(Buffer.concat([bytes, Buffer.from('\n')]))).toThrow(expect.objectContaining(codes));
}

describe('signed notes', () => {
  const vector = {
    verifier: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
    note: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
  };

  it('accept what the Go implementation signed', () => {
    const opened = openNote(Buffer.from(vector.note), [parseVerifierKey(vector.verifier)]);
    expect(opened.signatures).toHaveLength(1);
    expectCovered(Buffer.from(vector.note), (bytes) => openNote(bytes, [parseVerifierKey(vector.verifier)]));
  });

  it('ignore unknown signers, and are rejected by one false signature of a known key', async () => {
    const other = generateSigningKey('other.example.com', Buffer.alloc(32, 9)).key;
    const both = await signNote('text\n', [key, other]);
    expect(openNote(both, keys).signatures).toHaveLength(2);
    expect(() => openNote(both, [generateSigningKey(origin, Buffer.alloc(32, 1)).key.verifier])).toThrow(expect.objectContaining({ code: 'BadNote' }));
    const { signatures } = parseNote(both);
    const forged = formatNote({ text: 'text\n', signatures: signatures.map((one) => (one.name === origin ? one : { ...one, signature: Buffer.alloc(64, 1) })) });
    expect(openNote(forged, keys).signatures).toHaveLength(2);
    expect(() => openNote(forged, [key.verifier, other.verifier])).toThrow(expect.objectContaining({ code: 'BadNote' }));
  });

  it('keep text with empty lines and any characters but control characters', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), async (text) => {
        const body = `${text.replaceAll(/\p{Cc}|\p{Cs}/gu, '\n')}x\n`;
        expect(openNote(await signNote(body, [key]), keys).text).toBe(body);
      }),
    );
    await expect(signNote('a\u0000b\n', [key])).rejects.toMatchObject({ code: 'BadNote' });
  });
});

describe('keys', () => {
  it('are read back from their text, and refused with another hash, spelling or length', () => {
    expect(parseSigningKey(`${signing.text}\n`).verifier.text).toBe(key.verifier.text);
    expect(parseVerifierKey(key.verifier.text).id).toBe(key.verifier.id);
    for (const text of ['', 'x', signing.text, key.verifier.text.slice(0, -1), key.verifier.text.replace('+', '++'), `${key.verifier.text}A`, key.verifier.text.replace(/\+[0-9a-f]{8}\+/, '+00000000+')]) {
      expect(() => parseVerifierKey(text), text).toThrow(expect.objectContaining({ code: 'BadKey' }));
    }
    for (const text of ['', key.verifier.text, signing.text.slice(0, -2)]) expect(() => parseSigningKey(text)).toThrow(expect.objectContaining({ code: 'BadKey' }));
    for (const name of ['', 'a b', 'a+b', 'a\u00a0b', 'a\nb']) expect(() => generateSigningKey(name, Buffer.alloc(32))).toThrow(expect.objectContaining({ code: 'BadKey' }));
    expect(() => generateSigningKey('a', Buffer.alloc(31))).toThrow(expect.objectContaining({ code: 'BadKey' }));
  });
});

describe('a checkpoint', () => {
  it('is three lines, and every byte of it counts', async () => {
    const bytes = await signCheckpoint({ origin, size: treeSize(42), root: emptyRoot() }, key);
    expect(openCheckpoint(bytes, origin, keys)).toEqual({ origin, size: 42, root: emptyRoot() });
    expectCovered(bytes, (changed) => openCheckpoint(changed, origin, keys));
    expect(() => openCheckpoint(bytes, 'elsewhere', keys)).toThrow(expect.objectContaining({ code: 'BadLogData' }));
    for (const text of [`${origin}\n42\n`, `${origin}\n042\n${emptyRoot().toString('base64')}\n`, `${origin}\n1\n${emptyRoot().toString('base64')}\nextension\n`]) {
      const signed = await signNote(text, [key]);
      expect(() => openCheckpoint(signed, origin, keys)).toThrow(expect.objectContaining({ code: 'BadLogData' }));
    }
  });
});

describe('a journal object', () => {
  const headerOf = (state: Buffer, entryCount: number): JournalHeader => ({
    origin,
    number: 1,
    previous: noPrevious,
    sizeBefore: treeSize(0),
    sizeAfter: treeSize(entryCount),
    rootAfter: emptyRoot(),
    time: '2026-11-24T04:00:00.123Z',
    stateDigest: sha256Hex(state),
  });

  it('gives back state and entries, and every byte of it counts', async () => {
    const marker = { nonce: 'n', commitLsn: lsn(0x1_6b3_748n), xid: 7 };
    const every: SourceState = {
      ...stateAfter(3),
      marker,
      environment: 'sha256:e',
      proven: '0/16B3748',
      plainSince: '0/16B3700',
      lineage: { timeline: 2, past: [{ timeline: 1, end: lsn(0x1_000n) }] },
      connection: { name: 'shop/db', turn: 2 },
      gaps: { '*': 'source#2', '16384': 'source#1/0/1/16384' },
      ended: 'Removed',
    };
    const states = new Map([[source, every]]);
    const state = encodeLogState(states);
    const { entries } = batchOf(0, 3);
    const bytes = await signJournal(headerOf(state, 3), await compressJournalBody(state, [entries.bytes]), key);
    const object = openJournal(bytes, origin, keys);
    expect(object.digest).toBe(sha256Hex(bytes));
    expect(decodeJournalBody(object)).toEqual({ state: states, entries: decodeEntries(entries.bytes) });
    expectCovered(bytes, (changed) => openJournal(changed, origin, keys));
  });

  it('is refused when its entries or state are not what it says, and when it would fill the memory', async () => {
    const state = encodeLogState(new Map([[source, stateAfter(3)]]));
    const open = async (header: JournalHeader, body: Buffer) => decodeJournalBody(openJournal(await signJournal(header, body, key), origin, keys));
    const body = await compressJournalBody(state, [batchOf(0, 3).entries.bytes]);
    await expect(open(headerOf(state, 2), body)).rejects.toMatchObject({ code: 'BadLogData' });
    await expect(open(headerOf(Buffer.from('other'), 3), body)).rejects.toMatchObject({ code: 'BadLogData' });
    await expect(open(headerOf(state, 3), Buffer.from('not gzip'))).rejects.toMatchObject({ code: 'BadLogData' });
    const { gzipSync } = await import('node:zlib');
    const bomb = gzipSync(Buffer.alloc(300 * 1024 * 1024), { level: 1 });
    await expect(open(headerOf(state, 3), bomb)).rejects.toMatchObject({ code: 'BadLogData' });
  });
});

describe('a digest record', () => {
  it('keeps every field, whatever a database is called, and every byte of it counts', async () => {
    const record: DigestRecord = {
      origin,
      number: 3,
      previous: sha256(Buffer.from('x')).toString('hex'),
      firstJournal: 4,
      lastJournal: 9,
      size: treeSize(70_000),
      root: emptyRoot(),
      time: '2026-11-24T04:00:00.123Z',
      sources: [
        { name: 'postgresql/1/a b\n%25é\u00a0', incarnation: 1, lsn: lsn(0xffff_ffff_ffff_ffffn), seq: 0 },
        { name: source, incarnation: 2, lsn: lsn(8n), seq: 12 },
      ],
    };
    const bytes = await signDigest(record, key);
    expect(openDigest(bytes, origin, keys)).toEqual({ ...record, digest: sha256Hex(bytes) });
    expectCovered(bytes, (changed) => openDigest(changed, origin, keys));
  });
});

describe('bundles', () => {
  it('give back any entries, and refuse every other length', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (entries) => {
        const bytes = encodeEntries(entries);
        expect(decodeEntries(bytes).map((entry) => [...entry])).toEqual(entries.map((entry) => [...entry]));
        expect(() => decodeBundle(bytes, entries.length + 1)).toThrow(expect.objectContaining({ code: 'BadLogData' }));
        if (bytes.length > 0) expect(() => decodeBundle(bytes.subarray(0, -1), entries.length)).toThrow(expect.objectContaining({ code: 'BadLogData' }));
      }),
    );
    expect(() => encodeEntries([Buffer.alloc(65_536)])).toThrow(expect.objectContaining({ code: 'BadLogData' }));
  });

  it('are never a crash, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        for (const open of [() => decodeEntries(bytes), () => parseNote(bytes), () => openJournal(bytes, origin, keys), () => parseEntry(bytes)]) {
          try {
            open();
          } catch (error) {
            expect(error).toMatchObject(codes);
          }
        }
      }),
    );
  });
});

it('an entry is canonical JSON', () => {
  const bytes = encodeEntry({ v: 1, type: 'heartbeat', time: '2026-11-24T04:00:00.123456Z', z: { b: null, a: '€' } });
  expect(bytes.toString()).toBe('{"time":"2026-11-24T04:00:00.123456Z","type":"heartbeat","v":1,"z":{"a":"€","b":null}}');
  expect(parseEntry(bytes)).toMatchObject({ v: 1, type: 'heartbeat' });
  for (const text of ['', '[]', '{"v":2,"type":"heartbeat","time":""}', '{"v":1,"type":"odd","time":""}']) {
    expect(() => parseEntry(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'BadLogData' }));
  }
});

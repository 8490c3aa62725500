// The judge itself: what is lost, doubled, reordered, altered or given to somebody else is found.
import { describe, expect, it } from 'vitest';
import { judge, type Refereed, type Said, type SealedEntry } from './judge.ts';

const actor = { user: 'app', role: 'app', effective: 'app', application: '', claims: null };
const said: readonly Said[] = [7, 8].map((xid) => ({
  xid,
  pid: 1,
  expected: [
    { table: 't', operation: 'insert', after: { id: `${xid}`, note: 'a' }, actor },
    { table: 't', operation: 'delete', before: { id: `${xid}`, note: 'a' }, actor },
  ],
}));
const refereed: readonly Refereed[] = [8, 7].flatMap((xid) => ['insert', 'delete'].map((operation) => ({ xid, table: 't', operation, id: `${xid}` })));
const sealed: readonly SealedEntry[] = [8, 7].flatMap((xid) => {
  const row = { id: `${xid}`, note: 'a' };
  const entry = (type: string, seq: number, change: NonNullable<SealedEntry['change']>): SealedEntry => {
    return { type, object: { table: 't' }, actor: { user: 'app', role: 'app', effective: 'app', pid: 1 }, change, source: { incarnation: 1, commitLsn: `0/${(20 - xid).toString(16)}`, xid, seq } };
  };
  return [entry('row.insert', 1, { after: row }), entry('row.delete', 2, { before: row })];
});

function altered(index: number, change: Partial<SealedEntry>): readonly SealedEntry[] {
  return sealed.map((entry, at) => (at === index ? { ...entry, ...change } : entry));
}

describe('the judge', () => {
  it('finds nothing where all is as it was said', () => {
    expect(judge(sealed, { said, refereed })).toEqual([]);
  });

  it.each([
    ['a change that is lost', sealed.slice(0, -1)],
    ['a transaction that is lost', sealed.slice(2)],
    ['a change that is there twice', [...sealed, ...sealed.slice(-1)]],
    ['transactions out of order', [...sealed.slice(2), ...sealed.slice(0, 2)]],
    ['changes out of order', sealed.toReversed()],
    ['another value', altered(0, { change: { after: { id: '8', note: 'b' } } })],
    ['a value that is left out', altered(0, { change: { after: { id: '8' } } })],
    ['another actor', altered(1, { actor: { ...actor, pid: 1, effective: 'root' } })],
    ['another session', altered(1, { actor: { ...actor, pid: 2 } })],
    ['no actor', altered(1, { actor: { unattributed: true } })],
    ['a gap', [...sealed, { type: 'gap', source: { incarnation: 1, commitLsn: '0/40', xid: 0, seq: 0 } }]],
  ])('finds %s', (_what, entries) => {
    expect(judge(entries, { said, refereed })).not.toEqual([]);
  });
});

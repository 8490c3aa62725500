// Positions of each source only grow: those of the WAL, and those of snapshots, which stand between them.
import { describe, expect, it } from 'vitest';
import { canonical } from '../../src/audit/actor.ts';
import { SourceOrder } from '../../src/verify/source-order.ts';
import { Findings } from '../../src/verify/verdict.ts';

function row(lsn: string, seq: number): object {
  return { type: 'row.insert', source: { system: '7', database: 'shop', incarnation: 1, commitLsn: lsn, lsn, seq } };
}
function snapshot(type: string, lsn: string, seq: number, incarnation = 1): object {
  return { type, source: { system: '7', database: 'shop', incarnation, lsn, seq } };
}
function findingsOf(...entries: readonly object[]): readonly string[] {
  const findings = new Findings();
  const order = new SourceOrder(findings);
  for (const [leafIndex, entry] of entries.entries()) order.entry(Buffer.from(canonical({ v: 1, time: '2026-11-25T00:00:00.000000Z', ...entry })), { leafIndex, file: 'journal/1' });
  return findings.kept.map((finding) => `${finding.code} ${finding.leafIndex}`);
}

describe('the order of sources', () => {
  it('lets snapshots stand anywhere among the changes, each source by itself', () => {
    expect(findingsOf(row('0/10', 1), snapshot('baseline', '0/8', 1), row('0/10', 2), snapshot('baseline', '0/8', 2), snapshot('gap.reconciled', '0/9', 1), row('0/20', 1), snapshot('baseline', '0/5', 1, 2))).toEqual([]);
  });

  it('finds an entry of a snapshot that is there twice or stands before an earlier one', () => {
    expect(findingsOf(snapshot('baseline', '0/8', 1), snapshot('baseline', '0/8', 1))).toEqual(['SourceOrder 1']);
    expect(findingsOf(snapshot('baseline', '0/8', 2), snapshot('gap.reconciled', '0/7', 3))).toEqual(['SourceOrder 1']);
    expect(findingsOf(row('0/10', 1), snapshot('baseline', '0/8', 1), row('0/10', 1))).toEqual(['SourceOrder 2']);
  });
});

// Where two histories part, by their timelines alone.
import { expect, it } from 'vitest';
import { divergence, timelineAt } from '../../src/audit/lineage.ts';
import type { Lineage } from '../../src/log/source-state.ts';
import { lsn } from '../../src/model/branded.ts';

const lineage = (timeline: number, ...past: (readonly [number, bigint])[]): Lineage => ({ timeline, past: past.map(([number, end]) => ({ timeline: number, end: lsn(end) })) });

it.each([
  ['the same timeline', lineage(1), lineage(1), undefined],
  ['the same one after promotions', lineage(3, [1, 10n], [2, 20n]), lineage(3, [1, 10n], [2, 20n]), undefined],
  ['a promoted standby', lineage(1), lineage(2, [1, 10n]), 10n],
  ['a standby that was promoted twice', lineage(1), lineage(3, [1, 10n], [2, 20n]), 10n],
  ['the old primary, back again', lineage(2, [1, 10n]), lineage(1), 10n],
  ['two standbys promoted from one primary', lineage(2, [1, 10n]), lineage(2, [1, 7n]), 7n],
  ['one that left timeline 2 and one that left timeline 1', lineage(3, [1, 10n], [2, 20n]), lineage(4, [1, 10n]), 10n],
  ['strangers', lineage(1), lineage(2), 0n],
])('%s', (_what, sealed, server, expected) => {
  expect(divergence(sealed, server)).toBe(expected);
  expect(divergence(server, sealed)).toBe(expected);
});

it('gives a place the timeline that wrote it', () => {
  const promoted = lineage(3, [1, 10n], [2, 20n]);
  expect([0n, 9n, 10n, 19n, 20n, 99n].map((place) => timelineAt(promoted, lsn(place)))).toEqual([1, 1, 2, 2, 3, 3]);
});

// When a status says that the capture lags, and when that the slot is in danger.
import { expect, it } from 'vitest';
import { slotConditions } from '../../src/reconcile/audit-slot.ts';

const gib = 1024 ** 3;
const fine = { lagBytes: 0, lagSeconds: 0, retention: { retainedBytes: 0, safeBytes: gib, unlimited: false, aheadOfStandbys: false } };
const reasons = (status: Parameters<typeof slotConditions>[0]): readonly string[] => slotConditions(status).map(({ type, status: holds, reason }) => `${type} ${holds} ${reason}`);

it.each([
  ['all is well', fine, ['CaughtUp True KeepsUp', 'SlotSafe True Protected']],
  ['sealing takes long', { ...fine, lagSeconds: 60 }, ['CaughtUp False Lagging', 'SlotSafe True Protected']],
  ['much WAL waits', { ...fine, lagBytes: gib }, ['CaughtUp False Lagging', 'SlotSafe True Protected']],
  ['nothing limits the slot', { ...fine, retention: { retainedBytes: 0, unlimited: true, aheadOfStandbys: false } }, ['CaughtUp True KeepsUp', 'SlotSafe False UnlimitedRetention']],
  ['standbys may be behind', { ...fine, retention: { ...fine.retention, unlimited: true, aheadOfStandbys: true } }, ['CaughtUp True KeepsUp', 'SlotSafe False AheadOfStandbys']],
  ['the slot is about to be lost', { ...fine, retention: { ...fine.retention, safeBytes: 1024, aheadOfStandbys: true } }, ['CaughtUp True KeepsUp', 'SlotSafe False Endangered']],
  ['there is no slot', { lagBytes: 0, lagSeconds: 0 }, ['CaughtUp True KeepsUp']],
])('%s', (_what, status, expected) => {
  expect(reasons(status)).toEqual(expected);
});

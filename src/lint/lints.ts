// Every lint there is. A lint that is not in this list does not run; docs/lints has a page for each.
import { definerView } from './definer-view.ts';
import type { Lint } from './lint.ts';
import { ownerWithoutForce } from './owner-without-force.ts';
import { partitionDirect } from './partition-direct.ts';
import { truncateGranted } from './truncate-granted.ts';

export const lints: readonly Lint[] = [
  definerView,
  ownerWithoutForce,
  partitionDirect,
  truncateGranted,
];

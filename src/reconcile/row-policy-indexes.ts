// What `indexes: Create` does to a look at a RowPolicy: missing indexes are built first, changes wait for them, repairs do not.
import type { Resource } from '../model/kinds.ts';
import { ownerOf } from '../policy/desired.ts';
import { type IndexNeed, indexNeeds } from '../policy/index-work.ts';
import { portionOf } from '../policy/portion.ts';
import { hasWork } from '../policy/step.ts';
import type { Database } from '../ports/database.ts';
import type { IndexBuild, IndexBuilds } from './index-builds.ts';
import type { Readiness } from './readiness.ts';
import type { Leave } from './row-policy-leave.ts';
import type { Look } from './row-policy-look.ts';
import type { RowPolicyContext } from './row-policy-report.ts';

/** What is still to be built; nothing unless the RowPolicy asks for it. */
export function wantedIndexes({ spec }: Resource<'RowPolicy'>, { desired, observation }: Look): readonly IndexNeed[] {
  return spec.indexes === 'Create' ? indexNeeds(desired, observation) : [];
}

export async function followBuild({ policy, options, signal }: RowPolicyContext, indexes: IndexBuilds, wanted: { readonly database: Database; readonly needs: readonly IndexNeed[] }): Promise<IndexBuild | undefined> {
  return indexes.follow(ownerOf(policy.metadata), { ...wanted, done: () => options.enqueue(policy.metadata) }, signal);
}

/** Policies whose filters no index serves could stop an application, so they come after the index. */
export function whileBuilding(leave: Leave, build: IndexBuild | undefined): Leave {
  if (build?.state !== 'Building' || !hasWork(leave.portion)) return leave;
  const message = `an index is built first, which holds up nobody: ${build.progress}`;
  return { portion: portionOf(leave.portion, (step) => step.mends === true), waiting: { readiness: { state: 'reconciling', reason: 'BuildingIndexes', message } } };
}

export function saying(readiness: Readiness, build: IndexBuild | undefined): Readiness {
  if (build === undefined) return readiness;
  const what = build.state === 'Building' ? `an index is being built: ${build.progress}` : `an index could not be created: ${build.message}`;
  return { ...readiness, message: `${readiness.message}; ${what}` };
}

// The PolicyStore of PostgreSQL: joins observing, compiling, rendering and applying over the one session.
import type { ClaimsConfiguration } from '../../model/claims.ts';
import type { Clock } from '../../ports/clock.ts';
import type { PolicyStore } from '../../ports/policy-database.ts';
import { RowsealError } from '../../model/errors.ts';
import { applyPlan } from './apply.ts';
import { checkLiterals } from './check-literals.ts';
import { buildIndexes, indexProgress, renderIndexes } from './build-indexes.ts';
import { compileDesired } from './compile.ts';
import { listenForDrift } from './drift.ts';
import type { Fence } from './fence.ts';
import { installClaims } from './install-claims.ts';
import { installPolicySchema } from './install-policy.ts';
import { observe } from './observe.ts';
import { renderSteps } from './render.ts';
import { createRoleChanges } from './role-changes.ts';
import type { Session } from './session.ts';

export interface PolicyStoreOptions {
  readonly session: Pick<Session, 'target' | 'pid' | 'transaction' | 'exclusively' | 'listen'>;
  readonly clock: Clock;
  readonly claims: ClaimsConfiguration;
  /** Left out where nobody else could apply. */
  readonly fence?: Fence;
}

export const helperSchema = 'rowseal';

export function createPolicyStore({ session, clock, claims, fence }: PolicyStoreOptions): PolicyStore {
  /** Whoever was fenced off has nothing left to do with its session. */
  const fenced = async <T>(action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      if (error instanceof RowsealError && error.code === 'Fenced') await fence?.giveUp();
      throw error;
    }
  };
  const followRoleChanges = createRoleChanges({ session, clock, ...(fence === undefined ? {} : { fence }) });
  return {
    install: (signal) =>
      fenced(async () => {
        await fence?.ensure(signal);
        await installPolicySchema(session, signal);
        await fence?.ensure(signal);
        await installClaims({ session, claims }, signal);
      }),
    followRoleChanges: (signal) => fenced(() => followRoleChanges(signal)),
    observe: (request, signal) => session.exclusively((query) => observe(query, request), signal),
    compile: (desired, observation) => compileDesired(desired, observation, { claims, helperSchema }),
    checkLiterals: (literals, signal) => session.exclusively((query) => checkLiterals(query, literals), signal),
    render: renderSteps,
    renderIndexes,
    buildIndexes: (needs, signal) =>
      fenced(async () => {
        await fence?.ensure(signal);
        await buildIndexes(session.target, needs, signal);
      }),
    indexProgress: (signal) => session.exclusively(indexProgress, signal),
    apply: (plan, signal) => fenced(() => applyPlan(plan, { session, clock, ...(fence === undefined ? {} : { fence }) }, signal)),
    onDrift: (listener, signal) => listenForDrift(session, listener, signal),
  };
}

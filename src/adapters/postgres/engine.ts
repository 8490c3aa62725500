// PostgreSQL behind the ports: joins the one session, its facts, policies with their tests, and the audit half into a Database.
import type { Clock, Randomness } from '../../ports/clock.ts';
import type { ConnectionTarget, Database, DatabaseEngine } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import { describeError } from '../../model/errors.ts';
import { createAuditDatabase } from './audit-database.ts';
import { connectionTarget } from './connection-target.ts';
import { describeTarget } from './database-error.ts';
import { readFacts } from './facts.ts';
import { createFence, type Fence, replaceHolder } from './fence.ts';
import { createClaimsDatabase } from './install-claims.ts';
import { upgradePolicySchema } from './install-policy.ts';
import { createLintDatabase } from './lint-database.ts';
import { createPolicyChecks } from './policy-checks.ts';
import { createPolicyStore } from './policy-store.ts';
import { createProbe } from './probe.ts';
import { openSession, type Session } from './session.ts';
import type { OnHeld } from './session-start.ts';

export interface PostgresEngineOptions {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

const closeDeadlineMs = 5_000;

export function createPostgresEngine(options: PostgresEngineOptions): DatabaseEngine {
  return {
    target: connectionTarget,
    connect: async (target, holder, signal) => {
      const object = describeTarget(target);
      // Without the lease we can't tell a hanging session of ours from one that works.
      const onHeld: OnHeld = (query, { pid }) => replaceHolder(query, { holder, pid, object });
      const session = await openSession(target, signal, holder.holdsLease ? onHeld : undefined);
      try {
        const fence = createFence(session, holder, object);
        await fence.ensure(signal);
        return await join({ session, fence, target }, options, signal);
      } catch (error) {
        await session.close();
        throw error;
      }
    },
  };
}

interface Parts {
  readonly session: Session;
  readonly fence: Fence;
  readonly target: ConnectionTarget;
}

async function join({ session, fence, target }: Parts, { clock, randomness, logger }: PostgresEngineOptions, signal: AbortSignal): Promise<Database> {
  const facts = await session.exclusively((query) => readFacts(query, target), signal);
  await upgradePolicySchema(session, signal);
  // An earlier version had no fence to raise.
  await fence.ensure(signal);
  const { claims } = target;
  const probe = createProbe({ session, facts, randomness });
  const retire = (deadlineMs: number) =>
    probe.close(AbortSignal.timeout(deadlineMs)).catch((error: unknown) => logger.warn({ error: describeError(error) }, 'the probe role was not retired'));
  // An operator that was killed left its probe with a login.
  await retire(closeDeadlineMs);
  return {
    facts,
    policies: {
      ...createPolicyStore({ session, fence, clock, claims }),
      ...createPolicyChecks({ session, probe, claims }),
    },
    claims: createClaimsDatabase({ session, claims }),
    lint: createLintDatabase({ session, probe }),
    audit: createAuditDatabase({ session, fence, facts, target, randomness, logger }),
    lost: session.lost,
    close: async () => {
      // If we die here, the probe keeps a password that nobody knows; the next operator takes it away.
      await retire(closeDeadlineMs);
      await session.close();
    },
  };
}

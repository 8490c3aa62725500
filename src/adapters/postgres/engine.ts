// PostgreSQL behind the ports: joins the one session, its facts, policies with their tests, and the audit half into a Database.
import type { Clock, Randomness } from '../../ports/clock.ts';
import type { ConnectionTarget, Database, DatabaseEngine } from '../../ports/database.ts';
import type { Logger } from '../../ports/logger.ts';
import { describeError } from '../../model/errors.ts';
import { createAuditDatabase } from './audit-database.ts';
import { connectionTarget } from './connection-target.ts';
import { readFacts } from './facts.ts';
import { createClaimsDatabase } from './install-claims.ts';
import { upgradePolicySchema } from './install-policy.ts';
import { createLintDatabase } from './lint-database.ts';
import { createPolicyChecks } from './policy-checks.ts';
import { createPolicyStore } from './policy-store.ts';
import { createProbe } from './probe.ts';
import { openSession, type Session } from './session.ts';

export interface PostgresEngineOptions {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

const closeDeadlineMs = 5_000;

export function createPostgresEngine(options: PostgresEngineOptions): DatabaseEngine {
  return {
    target: connectionTarget,
    connect: async (target, signal) => {
      const session = await openSession(target, signal);
      try {
        return await join(session, target, options, signal);
      } catch (error) {
        await session.close();
        throw error;
      }
    },
  };
}

async function join(session: Session, target: ConnectionTarget, { clock, randomness, logger }: PostgresEngineOptions, signal: AbortSignal): Promise<Database> {
  const facts = await session.exclusively((query) => readFacts(query, target), signal);
  await upgradePolicySchema(session, signal);
  const { claims } = target;
  const probe = createProbe({ session, facts, randomness });
  const retire = (deadlineMs: number) =>
    probe.close(AbortSignal.timeout(deadlineMs)).catch((error: unknown) => logger.warn({ error: describeError(error) }, 'the probe role was not retired'));
  // An operator that was killed left its probe with a login.
  await retire(closeDeadlineMs);
  return {
    facts,
    policies: {
      ...createPolicyStore({ session, clock, claims }),
      ...createPolicyChecks({ session, probe, claims }),
    },
    claims: createClaimsDatabase({ session, claims }),
    lint: createLintDatabase({ session, probe }),
    audit: createAuditDatabase({ session, facts, target, randomness, logger }),
    lost: session.lost,
    close: async () => {
      // If we die here, the probe keeps a password that nobody knows; the next operator takes it away.
      await retire(closeDeadlineMs);
      await session.close();
    },
  };
}

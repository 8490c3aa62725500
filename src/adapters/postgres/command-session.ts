// What a command line evaluates with, beside an operator that may be at work: an ordinary session without the lock, and a probe role of its own.
import type { Randomness } from '../../ports/clock.ts';
import type { ConnectionTarget, ServerFacts } from '../../ports/database.ts';
import { describeTarget, statementError } from './database-error.ts';
import { readFacts } from './facts.ts';
import { createProbe, type Probe } from './probe.ts';
import { openShortSession, type ShortSession } from './short-session.ts';

export interface CommandTools {
  readonly session: ShortSession;
  readonly facts: ServerFacts;
  readonly probe: Probe;
}

export interface CommandOptions {
  readonly randomness: Randomness;
  /** Ends the server's name of the connection. */
  readonly purpose: string;
}

const closeDeadlineMs = 5_000;

/** The probe role is made when it is first used, and dropped at the end; if we are killed before, its password expires and the next use drops it. */
export async function withTemporaryProbe<T>(target: ConnectionTarget, { randomness, purpose }: CommandOptions, action: (tools: CommandTools) => Promise<T>, signal: AbortSignal): Promise<T> {
  const session = await openShortSession(target, purpose, signal);
  try {
    const facts = await session.exclusively((query) => readFacts(query, target), signal);
    const probe = createProbe({ session, facts, randomness, temporary: true });
    try {
      return await action({ session, facts, probe });
    } finally {
      // Where the role could not even be made, that was said already.
      await probe.close(AbortSignal.timeout(closeDeadlineMs)).catch(() => undefined);
    }
  } catch (error) {
    throw statementError(error, 'evaluating on copies', describeTarget(target));
  } finally {
    await session.close();
  }
}

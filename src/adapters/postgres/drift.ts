// Hears of policy and table DDL by others as soon as it is committed; where event triggers aren't allowed it hears nothing, and polling has to do.
import { driftChannel } from './policy-schema.ts';
import type { Session } from './session.ts';

/** Calls `changed` for every backend but our own. The payload can be forged by any role, so it is only a reason to look. */
export async function listenForDrift(session: Pick<Session, 'listen' | 'pid'>, changed: () => void, signal: AbortSignal): Promise<void> {
  const own = String(session.pid);
  const stop = await session.listen(
    driftChannel,
    (payload) => {
      if (payload !== own && !signal.aborted) changed();
    },
    signal,
  );
  signal.addEventListener('abort', stop, { once: true });
}

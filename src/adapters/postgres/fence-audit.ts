// The fence around the capture: what installs it or speaks for it in the WAL must be whom the fence names (DESIGN §5, Fence).
import { type Fence, fenceSchemaSql } from './fence.ts';
import type { RunQuery, Session } from './session.ts';

/** Does nothing without a fence. Its row is made here where no RowPolicy ever installed it. */
export function guardByFence(session: Pick<Session, 'transaction'>, fence: Fence | undefined): Fence {
  if (fence === undefined) return { ensure: async () => undefined, require: async () => undefined, giveUp: async () => undefined };
  return {
    giveUp: () => fence.giveUp(),
    ensure: async (signal) => {
      // If we die in between, an empty fence is there, which anybody may claim.
      await session.transaction(installFence, signal);
      await fence.ensure(signal);
    },
    require: (query) => fence.require(query),
  };
}

async function installFence(query: RunQuery): Promise<void> {
  const [there] = await query<{ schema: boolean; fence: boolean }>(`select to_regnamespace('rowseal') is not null as schema, to_regclass('rowseal.fence') is not null as fence`);
  if (there?.fence === true) return;
  if (there?.schema !== true) await query('create schema rowseal');
  for (const statement of fenceSchemaSql) await query(statement);
}

// Runs captures for the AuditPolicy controller: one pipeline from a database's WAL to a log.
import { startPipeline } from '../audit/pipeline.ts';
import { sealStop } from '../audit/source-stop.ts';
import type { AuditKeeper } from '../ports/audit-runtime.ts';
import type { Clock, Randomness } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import { outliving } from './lifetime.ts';

export interface AuditKeeperOptions {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
}

export function createAuditKeeper({ clock, randomness, logger }: AuditKeeperOptions): AuditKeeper {
  return {
    start: (database, writer, settings, signal) =>
      outliving(signal, (lifetime) => startPipeline({ database: database.audit, writer, settings, clock, randomness, logger }, lifetime)),
    end: ({ facts }, writer, how, signal) => sealStop({ writer, clock }, { system: facts.systemIdentifier, database: facts.database, ...how }, signal),
    remove: (database, writer, signal) => database.audit.remove(writer.origin, signal),
  };
}

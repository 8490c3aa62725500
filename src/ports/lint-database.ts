// What lints need of a database: its catalog, whether it changed, and somebody who acts witnesses out.
import type { Catalog } from '../policy/catalog.ts';
import type { Witness, WitnessOutcome } from '../policy/witness.ts';

export interface LintDatabase {
  /** Changes whenever the catalog does; one cheap query. What a witness run does to the probe role changes nothing. */
  fingerprint(signal: AbortSignal): Promise<string>;
  /** The whole catalog but the system's, in one read-only query; works where nothing of ours is installed. */
  readCatalog(signal: AbortSignal): Promise<Catalog>;
  /** One outcome a witness, in their order; acted as the role it names, on the probe connection, rolled back. */
  runWitnesses(witnesses: readonly Witness[], signal: AbortSignal): Promise<readonly WitnessOutcome[]>;
}

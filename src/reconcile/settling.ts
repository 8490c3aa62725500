// How long the RowPolicies of a table have been left alone: widening waits until all of them were seen and are unchanged (DESIGN §3).
import type { Clock } from '../ports/clock.ts';

/** One RowPolicy that has a say on tables. */
export interface Contributor {
  /** `namespace/name`. */
  readonly id: string;
  /** Another one whenever what it declares is. */
  readonly fingerprint: string;
  /** `schema.table`. */
  readonly tables: readonly string[];
}

const settleMs = 5_000;

/** Kept in memory: after a restart everything counts as just changed, which only makes a widening wait once more. */
export class Settling {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #seen = new Map<string, Contributor>();
  /** When the contributors of a table last changed. */
  readonly #changedAtMs = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** Takes note of all RowPolicies of the database as they are now; those that are no longer among them have left. */
  look(contributors: readonly Contributor[]): void {
    const now = new Map(contributors.map((contributor) => [contributor.id, contributor]));
    for (const before of this.#seen.values()) if (!same(before, now.get(before.id))) this.#touch(before);
    for (const contributor of now.values()) if (!same(contributor, this.#seen.get(contributor.id))) this.#touch(contributor);
    this.#seen.clear();
    for (const [id, contributor] of now) this.#seen.set(id, contributor);
  }

  /** Milliseconds until the tables have been left alone for long enough; 0 when they have. */
  remainingMs(tables: readonly string[]): number {
    const last = Math.max(-Infinity, ...tables.map((table) => this.#changedAtMs.get(table) ?? -Infinity));
    return Math.max(0, last + settleMs - this.#clock.monotonicMs());
  }

  #touch({ tables }: Contributor): void {
    for (const table of tables) this.#changedAtMs.set(table, this.#clock.monotonicMs());
    this.#forget();
  }

  /** A table that has settled needs no entry. */
  #forget(): void {
    for (const [table, atMs] of this.#changedAtMs) if (this.#clock.monotonicMs() - atMs > settleMs) this.#changedAtMs.delete(table);
  }
}

function same(a: Contributor, b: Contributor | undefined): boolean {
  return b !== undefined && a.fingerprint === b.fingerprint && a.tables.join('\n') === b.tables.join('\n');
}

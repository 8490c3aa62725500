// What widening waits for: that the RowPolicies of a table have been left alone, and that whatever they take away is in force (DESIGN §3).
import { mayWidenBefore, type Pending } from '../policy/pending.ts';
import type { Target } from '../policy/target.ts';
import type { Clock } from '../ports/clock.ts';

/** One RowPolicy that has a say on tables. */
export interface Contributor {
  /** `namespace/name`. */
  readonly id: string;
  /** Another one whenever what it declares is. */
  readonly fingerprint: string;
  readonly target: Target;
}

const settleMs = 5_000;
const lookEveryMs = 1_000;

/** Kept in memory: after a restart everything counts as just changed, which only makes a widening wait once more. */
export class Settling {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #seen = new Map<string, Contributor>();
  /** What each had in store when it was looked at last, and as which declaration. */
  readonly #pending = new Map<string, { readonly fingerprint: string; readonly pending: Pending }>();
  #lookedAtMs = -Infinity;
  /** What changed lately: whoever's target meant these tables before or means them now. */
  #changes: readonly { readonly target: Target; readonly atMs: number }[] = [];

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** Now and then, so that thousands of RowPolicies with nothing to do don't each look at all others; whatever widens looks itself. */
  lookNowAndThen(contributors: () => readonly Contributor[]): void {
    if (this.#clock.monotonicMs() - this.#lookedAtMs >= lookEveryMs) this.look(contributors());
  }

  /** Takes note of all RowPolicies of the database as they are now; those that are no longer among them have left. */
  look(contributors: readonly Contributor[]): void {
    this.#lookedAtMs = this.#clock.monotonicMs();
    const now = new Map(contributors.map((contributor) => [contributor.id, contributor]));
    for (const before of this.#seen.values()) if (!same(before, now.get(before.id))) this.#touch(before);
    for (const contributor of now.values()) if (!same(contributor, this.#seen.get(contributor.id))) this.#touch(contributor);
    this.#seen.clear();
    for (const [id, contributor] of now) this.#seen.set(id, contributor);
    for (const id of this.#pending.keys()) if (!now.has(id)) this.#pending.delete(id);
  }

  /** Milliseconds until whoever has a say on the tables has left them alone for long enough; 0 when they have. */
  remainingMs(hasSay: (target: Target) => boolean): number {
    const last = Math.max(-Infinity, ...this.#changes.filter(({ target }) => hasSay(target)).map(({ atMs }) => atMs));
    return Math.max(0, last + settleMs - this.#clock.monotonicMs());
  }

  /** Takes note of what a contributor's plan has in store. */
  report({ id, fingerprint }: Pick<Contributor, 'id' | 'fingerprint'>, pending: Pending): void {
    this.#pending.set(id, { fingerprint, pending });
  }

  /** Ids of those with a say whom one's own widening has to wait for: one that was not looked at yet may have everything in store. */
  ahead(own: { readonly id: string; readonly pending: Pending }, hasSay: (contributor: Contributor) => boolean): readonly string[] {
    const others = [...this.#seen.values()].filter((contributor) => contributor.id !== own.id && hasSay(contributor));
    return others.filter((other) => !mayWidenBefore(own, { id: other.id, pending: this.#pendingOf(other) })).map(({ id }) => id);
  }

  #pendingOf({ id, fingerprint }: Contributor): Pending | undefined {
    const report = this.#pending.get(id);
    return report?.fingerprint === fingerprint ? report.pending : undefined;
  }

  #touch({ target }: Contributor): void {
    const atMs = this.#clock.monotonicMs();
    this.#changes = [...this.#changes.filter((change) => atMs - change.atMs <= settleMs), { target, atMs }];
  }
}

function same(a: Contributor, b: Contributor | undefined): boolean {
  return b !== undefined && a.fingerprint === b.fingerprint;
}

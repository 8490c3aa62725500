// What a lint is, and what it finds.
import type { Witness, WitnessOutcome } from '../policy/witness.ts';
import type { Landscape } from './landscape.ts';

/** error: some role reaches rows that its policies keep from it. warning: it can under a condition, or policies don't do what they say. info: a side channel, or worth knowing. */
export type Severity = 'error' | 'warning' | 'info';

export interface Lint {
  /** Kebab-case; also the name of its file and of its page in docs/lints. */
  readonly id: string;
  /** Of its gravest findings; one of them may be milder. */
  readonly severity: Severity;
  /** A few words for a table. */
  readonly title: string;
  /** Why it matters, in one or two sentences. */
  readonly reason: string;
  /** What mends it, in general. */
  readonly fix: string;
  find(landscape: Landscape): readonly LintFinding[];
}

/** What a lint says about one object. */
export interface LintFinding {
  /** `public.v_orders`, `policy tenant on public.orders`, `role app`: stable, since allowedFindings name it. */
  readonly object: string;
  /** The tables whose rows are concerned, as `schema.table`; a finding without any concerns the whole database. */
  readonly tables: readonly string[];
  /** One or two sentences about this very object, naming the roles. */
  readonly why: string;
  /** SQL where SQL mends it, else words. */
  readonly fix: string;
  /** The lint's when left out. */
  readonly severity?: Severity;
  readonly witness?: Witness;
}

export interface Finding extends LintFinding {
  readonly lint: string;
  readonly severity: Severity;
}

export interface WitnessedFinding extends Finding {
  /** Missing where there is no witness, or none was asked for. */
  readonly outcome?: WitnessOutcome;
}

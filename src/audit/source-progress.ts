// The state of a source while it is read: numbers that change with every row in place, the rest replaced, copied at each cut.
import { type Lsn, parseLsn } from '../model/branded.ts';
import type { Lineage, SourcePosition, SourceState } from '../log/source-state.ts';
import type { ConfiguredTable } from '../ports/audit-database.ts';
import { capturedConfiguration, configuredTables } from './captured-configuration.ts';

export type CapturedTable = Omit<ConfiguredTable, 'policyDigest'>;

export class SourceProgress {
  #state: SourceState;
  #tables: ReadonlyMap<number, CapturedTable>;
  #changes: number;
  #attributed: number;
  #evidence: 'wal' | 'polled';
  #plainSince: Lsn | undefined;
  #catalogChanges = 0;

  constructor(state: SourceState) {
    this.#state = state;
    this.#tables = configuredTables(state.configuration);
    this.#evidence = evidenceOf(state.configuration);
    this.#plainSince = plainSinceOf(state);
    this.#changes = state.counters.changes;
    this.#attributed = state.counters.attributed;
  }

  get position(): SourcePosition {
    return this.#state.position;
  }

  get lineage(): Lineage | undefined {
    return this.#state.lineage;
  }

  get relations(): Readonly<Record<string, string>> {
    return this.#state.relations;
  }

  get policies(): Readonly<Record<string, string>> {
    return this.#state.policies;
  }

  get environment(): string | undefined {
    return this.#state.environment;
  }

  get proven(): string | undefined {
    return this.#state.proven;
  }

  /** Asked for every statement's message. */
  get plainSince(): Lsn | undefined {
    return this.#plainSince;
  }

  /** How the policy digests in force are known. */
  get policyEvidence(): 'wal' | 'polled' {
    return this.#evidence;
  }

  get gaps(): Readonly<Record<string, string>> {
    return this.#state.gaps ?? {};
  }

  get configuration(): unknown {
    return this.#state.configuration;
  }

  get ended(): boolean {
    return this.#state.ended !== undefined;
  }

  /** Audited again: the next end is another one. */
  beginAgain(): void {
    const { ended: _ended, ...state } = this.#state;
    this.#state = state;
  }

  /** By OID, of the configuration in force. */
  get tables(): ReadonlyMap<number, CapturedTable> {
    return this.#tables;
  }

  /** Replaces what is named, counters excepted. */
  update(part: Partial<Omit<SourceState, 'counters' | 'source'>>): void {
    this.#state = { ...this.#state, ...part };
    if ('plainSince' in part) this.#plainSince = plainSinceOf(part);
    if (!('configuration' in part)) return;
    this.#tables = configuredTables(part.configuration);
    this.#evidence = evidenceOf(part.configuration);
  }

  countRow(attributed: boolean): void {
    this.#changes += 1;
    if (attributed) this.#attributed += 1;
  }

  /** Somebody changed the catalog: a look at it should not wait. */
  noteCatalogChange(): void {
    this.#catalogChanges += 1;
  }

  get catalogChanges(): number {
    return this.#catalogChanges;
  }

  countGap(): void {
    const { counters } = this.#state;
    this.#state = { ...this.#state, counters: { ...counters, gaps: counters.gaps + 1 } };
  }

  /** As it is now. */
  snapshot(): SourceState {
    const { gaps } = this.#state.counters;
    return { ...this.#state, counters: { changes: this.#changes, attributed: this.#attributed, gaps } };
  }
}

function plainSinceOf({ plainSince }: Pick<SourceState, 'plainSince'>): Lsn | undefined {
  return plainSince === undefined ? undefined : parseLsn(plainSince);
}

function evidenceOf(configuration: unknown): 'wal' | 'polled' {
  return capturedConfiguration(configuration)?.policyEvidence ?? 'wal';
}

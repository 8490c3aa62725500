// What verification found, and what follows from it (DESIGN §6, Verify). Pure.

type FindingCode =
  | 'WrongKey'
  | 'ForeignLog'
  | 'BadSignature'
  | 'BadContent'
  | 'BrokenChain'
  | 'RootMismatch'
  | 'Mismatch'
  | 'Missing'
  | 'Unexpected'
  | 'Shadowed'
  | 'DeleteMarker'
  | 'SourceOrder'
  | 'BehindCheckpoint'
  | 'Unpublished'
  | 'NotExtending';

/** What is only missing may have been lost; everything else was done to the log. */
const incompleteCodes: ReadonlySet<FindingCode> = new Set<FindingCode>(['Missing', 'BehindCheckpoint', 'Unpublished']);

export interface Finding {
  readonly code: FindingCode;
  /** Key under the log's root. */
  readonly file: string;
  /** From 0. */
  readonly leafIndex?: number;
  /** Type, object and position of the entry; never its values. */
  readonly entry?: string;
  readonly message: string;
}

export interface EvidenceCounts {
  journals: number;
  digests: number;
  checkpoints: number;
  bundles: number;
  tiles: number;
  blobs: number;
  gaps: number;
}

export interface Verdict {
  readonly status: 'Sound' | 'Tampered' | 'Incomplete';
  readonly location: string;
  readonly origin: string;
  /** Entries under the latest checkpoint. */
  readonly treeSize: number;
  /** Base64, of the tree at `treeSize`. */
  readonly rootHash: string;
  /** Entries in the journal; those beyond `treeSize` are sealed, not published. */
  readonly sealedSize: number;
  /** Time of the latest digest record, RFC 3339. */
  readonly publishedAt?: string;
  readonly counts: Readonly<EvidenceCounts>;
  /** In the order of the log; at most `maxFindings`. */
  readonly findings: readonly Finding[];
  readonly findingsTotal: number;
  /** What is worth knowing and no fault. */
  readonly notes: readonly string[];
}

const maxFindings = 1_000;

/** A list that a hostile log cannot fill the memory with. */
export class Findings {
  readonly #kept: Finding[] = [];
  #total = 0;
  #tampered = false;

  add(finding: Finding): void {
    this.#total += 1;
    this.#tampered ||= !incompleteCodes.has(finding.code);
    if (this.#kept.length < maxFindings) this.#kept.push(finding);
  }

  get kept(): readonly Finding[] {
    return this.#kept;
  }

  get total(): number {
    return this.#total;
  }

  get status(): Verdict['status'] {
    if (this.#total === 0) return 'Sound';
    return this.#tampered ? 'Tampered' : 'Incomplete';
  }
}

/** DESIGN §6: 0 sound, 1 tampered, 2 incomplete. */
export function exitStatusOf(status: Verdict['status']): 0 | 1 | 2 {
  return status === 'Sound' ? 0 : status === 'Tampered' ? 1 : 2;
}

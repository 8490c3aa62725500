// The marker: the comment on each of our policies that says whose it is and what it looked like when we made it.

export interface PolicyMarker {
  /** `namespace/name` of the RowPolicy. */
  readonly owner: string;
  readonly rule: string;
  /** SHA-256, hex, of the definition as we rendered it. */
  readonly definition: string;
  /** SHA-256, hex, of the definition as PostgreSQL deparsed it right after. */
  readonly deparsed: string;
}

const pattern = /^rowseal owner=(\S{1,400}) rule=(\S{0,63}) definition=([0-9a-f]{64}) deparsed=([0-9a-f]{64})$/;

export function formatMarker(marker: PolicyMarker): string {
  return `rowseal owner=${marker.owner} rule=${marker.rule} definition=${marker.definition} deparsed=${marker.deparsed}`;
}

/** The marker in a comment, or undefined for any other comment: one that is not exactly ours is nobody's. */
export function parseMarker(comment: string | undefined): PolicyMarker | undefined {
  const match = pattern.exec(comment ?? '');
  if (!match) return undefined;
  const [, owner = '', rule = '', definition = '', deparsed = ''] = match;
  return { owner, rule, definition, deparsed };
}

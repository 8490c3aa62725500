// A pause for emergencies: until a time that is written down nothing of a RowPolicy is applied or mended, and then it goes on by itself.
import { pauseAnnotation } from '../model/annotations.ts';
import type { Resource } from '../model/kinds.ts';

export type Pause =
  | { readonly kind: 'None' }
  | { readonly kind: 'Paused'; readonly until: string; readonly leftMs: number }
  /** Whoever mistypes a pause must not switch enforcement off for good. */
  | { readonly kind: 'Refused'; readonly why: string };

const longestPauseMs = 24 * 3_600_000;
const timePattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/;

/** The pause that the annotation asks for, as of now. */
export function pauseOf({ metadata }: Resource<'RowPolicy'>, now: Date): Pause {
  const until = metadata.annotations[pauseAnnotation];
  if (until === undefined) return { kind: 'None' };
  const atMs = timePattern.test(until) ? Date.parse(until) : Number.NaN;
  if (Number.isNaN(atMs)) return { kind: 'Refused', why: `the annotation ${pauseAnnotation} is no time such as 2026-01-31T12:00:00Z, so nothing is paused` };
  const leftMs = atMs - now.getTime();
  if (leftMs > longestPauseMs) return { kind: 'Refused', why: `the annotation ${pauseAnnotation} is more than 24 hours away, so nothing is paused` };
  return leftMs <= 0 ? { kind: 'None' } : { kind: 'Paused', until, leftMs };
}

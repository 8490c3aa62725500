// Timelines: where the history of the server that goes on parted from the one that was sealed (DESIGN §5, Resuming).
import type { Lsn } from '../model/branded.ts';
import type { Lineage } from '../log/source-state.ts';

/** The WAL before this is common to both; undefined when neither has left the other, as far as timelines tell. */
export function divergence(sealed: Lineage, server: Lineage): Lsn | undefined {
  const ours = stretches(sealed);
  const theirs = stretches(server);
  let common: Lsn | undefined;
  for (let at = 0; ; at++) {
    const a = ours[at];
    const b = theirs[at];
    // Timelines of one number that began at different places, and others with nothing before them in common, are strangers.
    if (a === undefined || b === undefined || a.timeline !== b.timeline) return common ?? (0n as Lsn);
    if (a.end === undefined && b.end === undefined) return undefined;
    if (a.end !== b.end) return earlier(a.end, b.end);
    common = a.end;
  }
}

/** The timeline on which a record was written that stands at this place of the server's WAL. */
export function timelineAt({ timeline, past }: Lineage, place: Lsn): number {
  return past.find(({ end }) => place < end)?.timeline ?? timeline;
}

function stretches({ timeline, past }: Lineage): readonly { readonly timeline: number; readonly end?: Lsn }[] {
  return [...past, { timeline }];
}

function earlier(a: Lsn | undefined, b: Lsn | undefined): Lsn | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

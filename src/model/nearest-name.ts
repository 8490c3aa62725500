// The known name that somebody probably meant: the nearest by edits, if it is near enough to be a slip.

export function nearestName(written: string, known: readonly string[]): string | undefined {
  // Two letters swapped are two edits, so that even a short word is allowed two.
  const most = written.length < 4 ? 1 : Math.max(2, Math.floor(written.length / 3));
  let best: { name: string; edits: number } | undefined;
  for (const name of known) {
    const edits = editDistance(written.toLowerCase(), name.toLowerCase());
    if (edits <= most && (best === undefined || edits < best.edits)) best = { name, edits };
  }
  return best?.name;
}

/** Insertions, deletions and replacements that turn one word into the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let index = 0; index < from.length; index += 1) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (row[column - 1] ?? 0) + (to[column - 1] === from[index] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

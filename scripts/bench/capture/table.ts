// Tables on standard output, progress on standard error.

export function printTable(title: string, header: readonly string[], lines: readonly (readonly string[])[]): void {
  const widths = header.map((name, column) => Math.max(name.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const row = (cells: readonly string[]): string => `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  console.log(`\n${title}\n`);
  console.log(row(header));
  console.log(`|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`);
  for (const line of lines) console.log(row(line));
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Another one goes first each round, so that none always follows the same. */
export function rotated<T>(all: readonly T[], round: number): T[] {
  const first = ((round % all.length) + all.length) % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

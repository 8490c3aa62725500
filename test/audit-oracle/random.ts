// Chance that can be repeated: every draw of a run follows from its seed.

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** In [from, to], whole. */
  int(from: number, to: number): number;
  chance(probability: number): boolean;
  /** Throws on an empty list. */
  pick<T>(items: readonly T[]): T;
  /** At most `count` different items, in the order of the list. */
  some<T>(items: readonly T[], count: number): T[];
  /** Text with what breaks quoting, COPY, JSON and C strings, at most this many characters. */
  text(length: number): string;
}

const pieces = ['a', 'Z', '0', ' ', "'", '"', '\\', '\n', '\r', '\t', '\u0001', '\u001f', '\u007f', '\u2028', 'é', '漢', '🦉', '\ufeff', '$$', '--', '/*', '{', '}', '\\.', '\\N', 'NULL', '%', ','];

/** Park–Miller, repeatable from its seed. */
export function randomFrom(seed: number): Random {
  let state = (Math.abs(Math.trunc(seed)) % 2147483646) + 1;
  const next = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let skip = 0; skip < 3; skip++) next();
  const int = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (items) => {
      if (items.length === 0) throw new Error('nothing to pick from');
      return items[int(0, items.length - 1)] as (typeof items)[number];
    },
    some: (items, count) => {
      const wanted = new Set(Array.from({ length: Math.min(count, items.length) }, () => int(0, items.length - 1)));
      return items.filter((_, index) => wanted.has(index));
    },
    text: (length) => Array.from({ length: int(0, length) }, () => pieces[int(0, pieces.length - 1)] ?? '').join(''),
  };
}

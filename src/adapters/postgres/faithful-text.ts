// Deparsed text as it must be written so that PostgreSQL deparses it to the very same text again.

/**
 * `x IN ('a', 'b')` on a varchar is deparsed as `(ARRAY['a'::character varying, …])::text[]`, but read back the cast moves
 * into the array's items. With a cast of its own around the array it stays where it was.
 */
export function faithfulText(text: string): string {
  let written = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf('(ARRAY[', at);
    if (start < 0) return written + text.slice(at);
    const open = start + '(ARRAY'.length;
    const end = closingBracket(text, open);
    const array = end < 0 ? '' : text.slice(start + 1, end + 1);
    const moved = text.startsWith(')::text[]', end + 1) && /^ARRAY\[('([^']|'')*'::character varying(, )?)+\]$/.test(array);
    written += text.slice(at, start + 1) + (moved ? `${array}::character varying[]` : '');
    at = moved ? end + 1 : start + 1;
  }
}

/** Where the bracket at `open` is closed, quotes skipped; -1 where it is not. */
function closingBracket(text: string, open: number): number {
  let depth = 0;
  let quote = '';
  for (let index = open; index < text.length; index += 1) {
    const character = text[index] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === "'" || character === '"') quote = character;
    else if (character === '[') depth += 1;
    else if (character === ']' && --depth === 0) return index;
  }
  return -1;
}

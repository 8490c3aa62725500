// Deparsed text as it must be written so that PostgreSQL deparses it to the very same text again.

export function faithfulText(text: string): string {
  return keptNested(keptInArray(text));
}

/**
 * `x IN ('a', 'b')` on a varchar is deparsed as `(ARRAY['a'::character varying, …])::text[]`, but read back the cast moves
 * into the array's items. With a cast of its own around the array it stays where it was.
 */
function keptInArray(text: string): string {
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

interface Group {
  readonly open: number;
  /** AND or OR between its parts. */
  word?: string;
  /** The group that it begins with. */
  first?: { readonly close: number; readonly word: string | undefined };
}

/** What is quoted or a comment is one token, whatever stands in it. */
const tokens = /\b[eE]'(?:[^'\\]|\\[^]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[^]*?\$\1\$|--[^\n]*|\/\*[^]*?\*\/|[()]| (?:AND|OR) /g;

/**
 * `x BETWEEN 1 AND 2 AND y` and `(a, b) = (1, 2) AND y` are deparsed as `((… AND …) AND y)`, but read back a list that begins
 * with a list of the same kind becomes one. A cast of the inner one to what it is already leaves no trace and keeps it apart.
 */
function keptNested(text: string): string {
  const groups: Group[] = [];
  const casts: number[] = [];
  for (const { 0: token, index } of text.matchAll(tokens)) {
    const group = groups.at(-1);
    if (token === '(') groups.push({ open: index });
    else if (token === ')') {
      const closed = groups.pop();
      const outer = groups.at(-1);
      if (closed !== undefined && outer !== undefined && outer.open + 1 === closed.open) outer.first = { close: index, word: closed.word };
    } else if (group !== undefined && token.startsWith(' ')) {
      if (group.first?.close === index - 1 && group.first.word === token) casts.push(index);
      group.word ??= token;
    }
  }
  return casts.toReversed().reduce((written, at) => `${written.slice(0, at)}::boolean${written.slice(at)}`, text);
}

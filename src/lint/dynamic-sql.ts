// Whether a function runs SQL that its caller makes up: EXECUTE of an argument, or of text that an argument is put into.
import type { CatalogFunction } from '../policy/catalog.ts';
import { codeOf } from './called-functions.ts';

/** Statement: any SQL the caller likes. Name: a table or column of the caller's choice. */
export type CallersChoice = 'Statement' | 'Name';

export function callersChoice(called: CatalogFunction): CallersChoice | undefined {
  if (called.language !== 'plpgsql') return undefined;
  const names = argumentNames(called.arguments);
  const choices = [...codeOf(called).matchAll(/\bexecute\s+(?!function\b|procedure\b|on\b)([^;]*)/gi)].map(([, text]) => choiceIn(text ?? '', names));
  return choices.includes('Statement') ? 'Statement' : choices.find((choice) => choice !== undefined);
}

function choiceIn(text: string, names: readonly string[]): CallersChoice | undefined {
  // What comes by USING, or as a quoted literal, stays a value.
  const sql = text.replace(/\busing\b[\s\S]*$/i, '').replaceAll(/\bquote_(?:literal|nullable)\s*\([^()]*\)/gi, ' ');
  const bare = sql.replaceAll(/\bquote_ident\s*\([^()]*\)/gi, ' ');
  const mentions = (part: string) => names.some((name) => new RegExp(String.raw`(?<![\w.'])${name}\b|\.${name}\b`, 'i').test(part.replaceAll(/'(?:[^']|'')*'/g, ' ')));
  if (/\bformat\s*\(/i.test(sql)) {
    if (!mentions(sql)) return undefined;
    return /%\d*\$?s/.test(sql) ? 'Statement' : /%\d*\$?I/.test(sql) ? 'Name' : undefined;
  }
  return mentions(bare) ? 'Statement' : mentions(sql) ? 'Name' : undefined;
}

/** `tenant text, max_rows integer`; without a name there is nothing to look for but its number. */
function argumentNames(args: string): readonly string[] {
  const words = args.split(',').map((each) => each.trim().replace(/^(?:IN|INOUT|VARIADIC)\s+/, ''));
  const named = words.filter((each) => /^[a-z_]\w*\s/.test(each)).map((each) => each.split(/\s/)[0] ?? '');
  return [...named, ...words.map((_, index) => String.raw`\$${index + 1}`)].filter((name) => name !== '');
}

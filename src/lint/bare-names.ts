// Whether a body names anything without its schema: a function, an operator or a type that a search_path decides about.
import type { CatalogFunction } from '../policy/catalog.ts';
import { codeOf } from './called-functions.ts';

export function hasBareNames(called: CatalogFunction): boolean {
  // Dynamic SQL stands in literals, so a body that runs some counts.
  const code = codeOf(called);
  if (/\bexecute\b/i.test(code)) return true;
  const bare = code.replaceAll(/(?:\bE)?'(?:[^'\\]|''|\\.)*'/gi, ' ').replaceAll(/"(?:[^"]|"")*"/g, 'x');
  return hasBareCall(bare) || hasBareType(bare) || hasOperator(bare);
}

/** Syntax that looks like a call, and what the grammar itself knows. */
const syntax = new Set(
  `all and any array as begin between by case cast coalesce conflict distinct do else elsif end except exists filter for from grouping greatest group having if in insert intersect into is join lateral least
   like limit loop materialized not nullif on or order over partition perform query raise return returning row select set some table then union unique update using values view when where while window with within`.split(/\s+/),
);

function hasBareCall(code: string): boolean {
  return [...code.matchAll(/(\.\s*)?\b([a-z_][\w$]*)\s*\(/gi)].some(([, qualified, name]) => qualified === undefined && !syntax.has((name ?? '').toLowerCase()) && !isColumnList(code, name ?? ''));
}

/** `INSERT INTO schema.table (columns)` and `alias(columns)` after AS. */
function isColumnList(code: string, name: string): boolean {
  return new RegExp(String.raw`\bas\s+${name}\s*\(`, 'i').test(code);
}

function hasBareType(code: string): boolean {
  return [...code.matchAll(/::\s*([a-z_][\w$]*)(\s*\.)?/gi)].some(([, , qualified]) => qualified === undefined);
}

/** Assignment, named arguments, ranges, labels, casts, `%TYPE` and stars that stand for columns are syntax. */
function hasOperator(code: string): boolean {
  const rest = code.replaceAll(/:=|=>|\.\.|<<\s*\w+\s*>>|::|%(?:row)?type\b|\.\s*\*|\(\s*\*\s*\)|\bselect\s+\*/gi, ' ');
  return /[=<>+\-*/|~!@#%^&?]/.test(rest);
}

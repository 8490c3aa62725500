// Literals and settings among recognised values: what they say, and by which name a term can call them.
import type { Part, Value } from './recognise-scope.ts';

export function literalText({ cases }: Value): string | undefined {
  const [only, ...more] = cases;
  return more.length === 0 && only?.part.kind === 'literal' ? only.part.text : undefined;
}

const settingName = /^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)+$/;

/** The name of a setting that is read as it is, where a term can name it. */
export function rawSetting(part: Part): string | undefined {
  if (part.kind !== 'function' || part.name !== 'current_setting') return undefined;
  const [arg] = part.args;
  return arg?.kind === 'literal' && arg.text.length <= 127 && settingName.test(arg.text) ? arg.text : undefined;
}

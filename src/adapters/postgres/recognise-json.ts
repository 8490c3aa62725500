// Steps into JSON: of the session's claims a claim, of any other setting a function call.
import type { Operand } from '../../policy/predicate.ts';
import { literalText } from './recognise-literal.ts';
import { Unrecognised } from './recognise-node.ts';
import type { Part, Scope, Value } from './recognise-scope.ts';

/** `->`, `->>`, `#>` or `#>>` with a key or a path. */
export function documentStep(value: Value, operator: string, right: Value | readonly string[], scope: Scope): Value {
  const keys = operator.startsWith('#') ? pathOf(right) : [keyOf(right)];
  return operator.endsWith('>>') ? textOf(value, keys, scope) : { type: value.type, cases: value.cases.map((each) => ({ ...each, part: below(each.part, keys) })) };
}

/** jsonb_extract_path_text(document, key, …). */
export function extractedPath([value, ...keys]: readonly Value[], scope: Scope): Value {
  if (value === undefined || keys.length === 0) throw new Unrecognised('JSON is taken as a whole');
  return textOf(value, keys.map((key) => literalText(key) ?? fail('a key is not a literal')), scope);
}

/** The path to a claim that holds an array. */
export function itemsOf({ cases }: Value, scope: Scope): readonly string[] {
  const [only, ...more] = cases;
  if (only === undefined || more.length > 0 || only.guards.length > 0 || only.part.kind !== 'document' || only.part.setting !== scope.meanings.claimsSetting) fail('items come from something else than a claim');
  return claimPath(only.part.path);
}

function below(part: Part, keys: readonly string[]): Extract<Part, { kind: 'document' }> {
  if (part.kind !== 'document') throw new Unrecognised('JSON comes from something else than a setting');
  return { ...part, path: [...part.path, ...keys] };
}

/** As a key of an object only: `->` with a number, or a text that is one, means something else in an array. */
function keyOf(right: Value | readonly string[]): string {
  const text = 'cases' in right && (right.type === 'text' || right.type === 'unknown') ? literalText(right) : undefined;
  return text === undefined || /^-?\d+$/.test(text) ? fail('a key is not a literal name') : text;
}

function pathOf(right: Value | readonly string[]): readonly string[] {
  if (!('cases' in right)) return right;
  const [, inner] = /^\{([^{}"\\]+)\}$/.exec(literalText(right) ?? '') ?? [];
  return inner === undefined ? fail('a path is not a literal') : inner.split(',').map((key) => key.trim());
}

function textOf({ cases }: Value, keys: readonly string[], { meanings }: Scope): Value {
  return { type: 'text', cases: cases.map((each) => ({ ...each, part: operandOf(below(each.part, keys), meanings.claimsSetting) })) };
}

function operandOf({ setting, path }: Extract<Part, { kind: 'document' }>, claimsSetting: string | undefined): Operand {
  if (setting === claimsSetting) return { kind: 'claim', path: claimPath(path) };
  if (path.length > 3) throw new Unrecognised('a path into the JSON of a setting has more than three keys');
  return { kind: 'function', name: 'jsonb_extract_path_text', args: [{ kind: 'setting', name: setting }, ...path.map((text) => ({ kind: 'literal' as const, text }))] };
}

function claimPath(path: readonly string[]): readonly string[] {
  return path.length === 0 || path.length > 8 || path.some((key) => key === '' || key.length > 63) ? fail('the path of a claim is empty or too long') : path;
}

function fail(why: string): never {
  throw new Unrecognised(why);
}

// Recognises arrays of literals.
import { castValue } from './recognise-cast.ts';
import { literalText } from './recognise-literal.ts';
import { list, type Node, opened, record, typeKey, Unrecognised } from './recognise-node.ts';
import { type Scope, single, type Value } from './recognise-scope.ts';

/** The items of `ARRAY[…]`, of one that is cast, or of `'{…}'::type[]`. Throws Unrecognised. */
export function arrayItems(node: Node, scope: Scope): readonly Value[] {
  const { tag, inner } = opened(node);
  if (tag === 'A_ArrayExpr') return list(inner['elements']).map((element) => scope.recogniser.valueOf(element, scope));
  if (tag !== 'TypeCast') throw new Unrecognised('it is no array of literals');
  const type = elementOf(typeKey(record(inner['typeName'])));
  const arg = record(inner['arg']);
  const items = opened(arg).tag === 'A_Const' ? writtenItems(literalText(scope.recogniser.valueOf(arg, scope)) ?? '') : arrayItems(arg, scope);
  return items.map((item) => castValue(item, type));
}

function elementOf(type: string | undefined): string | undefined {
  const at = (type ?? '').lastIndexOf('.') + 1;
  return type?.[at] === '_' ? `${type.slice(0, at)}${type.slice(at + 1)}` : undefined;
}

/** Only where no item needs quotes. */
function writtenItems(text: string): readonly Value[] {
  const [, inner] = /^\{([^{}"\\]+)\}$/.exec(text) ?? [];
  const items = (inner ?? '').split(',');
  if (inner === undefined || items.some((item) => item.trim() === '' || item.trim().toLowerCase() === 'null')) throw new Unrecognised('an array is written with quotes, NULLs or no items');
  return items.map((item) => single('unknown', { kind: 'literal', text: item.trim() }));
}

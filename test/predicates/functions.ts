// The functions of terms, written a second time: on text, by code points, and ASCII alone has upper and lower case (the tests' locale is C).
import { bool, int4, text, textArray, type Type, type Value } from './values.ts';

const results: Readonly<Record<string, Type>> = { strpos: int4, length: int4, cardinality: int4, starts_with: bool, string_to_array: textArray };

/** `columns`: types of the arguments that are columns. */
export function functionType(name: string, columns: readonly (Type | undefined)[]): Type {
  if (name === 'coalesce') return columns.find((type) => type !== undefined) ?? text;
  return results[name] ?? text;
}

export function callFunction(name: string, args: readonly Value[]): Value {
  if (name === 'coalesce') return args.find((arg) => arg !== undefined);
  if (args.includes(undefined)) return undefined;
  if (name === 'cardinality') return BigInt((args[0] as readonly Value[]).length);
  const [first = '', second = '', third = ''] = args.map((arg) => `${arg as string | bigint | boolean}`);
  const points = Array.from(first);
  switch (name) {
    case 'lower':
      return first.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
    case 'upper':
      return first.replaceAll(/[a-z]/g, (letter) => letter.toUpperCase());
    case 'btrim':
      return first.replaceAll(/^ +| +$/g, '');
    case 'left':
      return points.slice(0, Number(second)).join('');
    case 'right':
      return Number(second) === 0 ? '' : points.slice(Number(second) < 0 ? -Number(second) : Math.max(0, points.length - Number(second))).join('');
    case 'split_part':
      return splitPart(first, second, Number(third));
    case 'string_to_array':
      return first === '' ? [] : second === '' ? [first] : first.split(second);
    case 'replace':
      return second === '' ? first : first.replaceAll(second, () => third);
    case 'length':
      return BigInt(points.length);
    case 'strpos':
      return second === '' ? 1n : BigInt(first.includes(second) ? Array.from(first.slice(0, first.indexOf(second))).length + 1 : 0);
    case 'starts_with':
      return first.startsWith(second);
    default:
      throw new Error(`the evaluator does not know ${name}`);
  }
}

function splitPart(value: string, separator: string, index: number): string {
  const parts = separator === '' ? [value] : value.split(separator);
  if (value === '') return '';
  return (index > 0 ? parts[index - 1] : parts[parts.length + index]) ?? '';
}
